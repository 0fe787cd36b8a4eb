// expect: problem::classes_do_not_match, -1, .*"classifier".*-1, 9
#include <vivace/exec/serial.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/optim/adam.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;

struct wrong {
  static constexpr auto graph = vv::classifier(vv::features{20}, vv::classes{10}, vv::dense{9});
};

int main() { vv::trainer trainer{wrong{}, vv::batch<32>, vv::adamw{}, vv::serial{}}; }
