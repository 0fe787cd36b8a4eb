// dlib's side of the tiny network, in the protocol of steps/serve.hpp. dlib's trainer prefetches and keeps statistics;
// its parts are called instead, which is the least it can do for a step.
#include <dlib/dnn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <vivace/io/safetensors.hpp>

#include "steps/serve.hpp"

namespace {

using network =
    dlib::loss_mean_squared_multioutput<dlib::fc<1, dlib::relu<dlib::fc<32, dlib::input<dlib::matrix<float>>>>>>;

std::vector<float> numbers(const vivace::io::safetensors_file& file, const std::string& name) {
  const auto bytes = file.bytes(name);
  const auto* const first = reinterpret_cast<const float*>(bytes.data());
  return {first, first + bytes.size() / sizeof(float)};
}

}  // namespace

int main(int argc, char** argv) {
  std::string data, name, optimiser;
  double rate = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--data") data = argv[i + 1];
    if (option == "--network") name = argv[i + 1];
    if (option == "--optimiser") optimiser = argv[i + 1];
    if (option == "--rate") rate = std::atof(argv[i + 1]);
  }
  if (name != "tiny" || optimiser != "sgd" || data.empty()) {
    std::fputs("dlib_steps: --network tiny --optimiser sgd --rate R --data FILE\n", stderr);
    return 2;
  }
  const vivace::io::safetensors_file file(data);
  std::vector<std::vector<float>> start(4);
  for (const auto& one : file.tensors())
    if (one.name.rfind("parameter.", 0) == 0)
      start.at(static_cast<std::size_t>(std::atoi(one.name.c_str() + 10) - 1000)) = numbers(file, one.name);
  const std::vector<float> features = numbers(file, "batch.features"), targets = numbers(file, "batch.targets");
  std::vector<dlib::matrix<float>> samples, wanted;
  for (std::size_t s = 0; s < targets.size(); ++s) {
    dlib::matrix<float> sample(16, 1), target(1, 1);
    for (long i = 0; i < 16; ++i) sample(i, 0) = features[s * 16 + static_cast<std::size_t>(i)];
    target(0, 0) = targets[s];
    samples.push_back(sample);
    wanted.push_back(target);
  }
  network net;
  dlib::resizable_tensor input;
  net.to_tensor(samples.begin(), samples.end(), input);
  (void)net.subnet().forward(input);  // sizes the layers
  std::vector<dlib::sgd> solvers(net.num_computational_layers, dlib::sgd(0, 0));

  const auto restart = [&] {
    const auto copy = [](dlib::tensor& to, const std::vector<float>& weights, const std::vector<float>& biases) {
      float* const at = to.host();  // both have the inputs outermost
      std::copy(weights.begin(), weights.end(), at);
      std::copy(biases.begin(), biases.end(), at + weights.size());
    };
    copy(dlib::layer<3>(net).layer_details().get_layer_params(), start[0], start[1]);
    copy(dlib::layer<1>(net).layer_details().get_layer_params(), start[2], start[3]);
  };
  const auto step = [&] {
    const double loss = net.compute_parameter_gradients(input, wanted.begin());
    net.update_parameters(dlib::make_sstack(solvers), 2 * rate);  // its gradient is that of half the loss
    return loss;
  };
  restart();
  return peers::serve(restart, step, [] { std::puts("{}"); });
}
