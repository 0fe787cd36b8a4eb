// PyTorch's C++ library: the tiny network and the MLP, in the protocol of steps/serve.hpp.
#include <torch/torch.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <vivace/io/safetensors.hpp>

#include "steps/serve.hpp"

namespace {

torch::nn::Sequential network_of(const std::string& name) {
  using torch::nn::Linear, torch::nn::ReLU;
  if (name == "tiny") return torch::nn::Sequential(Linear(16, 32), ReLU(), Linear(32, 1));
  return torch::nn::Sequential(Linear(784, 512), ReLU(), Linear(512, 256), ReLU(), Linear(256, 10));
}

torch::Tensor tensor_of(const vivace::io::safetensors_file& file, const std::string& name, torch::ScalarType type) {
  const auto& info = file.info(name);
  const auto bytes = file.bytes(name);
  return torch::from_blob(const_cast<std::byte*>(bytes.data()), info.dimensions, type).clone();
}

}  // namespace

int main(int argc, char** argv) {
  std::string network, optimiser, data;
  double rate = 0;
  int threads = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--network") network = argv[i + 1];
    if (option == "--optimiser") optimiser = argv[i + 1];
    if (option == "--data") data = argv[i + 1];
    if (option == "--rate") rate = std::atof(argv[i + 1]);
    if (option == "--threads") threads = std::atoi(argv[i + 1]);
  }
  if ((network != "tiny" && network != "mlp") || data.empty()) {
    std::fputs("libtorch_steps: --network tiny|mlp --optimiser sgd|adam --rate R --threads N --data FILE\n", stderr);
    return 2;
  }
  torch::set_num_threads(threads);
  const vivace::io::safetensors_file file(data);
  const torch::Tensor features = tensor_of(file, "batch.features", torch::kFloat32);
  torch::Tensor targets, labels;
  if (file.has("batch.targets")) targets = tensor_of(file, "batch.targets", torch::kFloat32);
  if (file.has("batch.labels")) labels = tensor_of(file, "batch.labels", torch::kInt32).to(torch::kInt64);

  torch::nn::Sequential model = network_of(network);
  std::vector<torch::Tensor> start;
  for (const auto& one : file.tensors())  // their names begin with their place
    if (one.name.rfind("parameter.", 0) == 0) {
      const auto place = static_cast<std::size_t>(std::atoi(one.name.c_str() + 10) - 1000);
      if (start.size() <= place) start.resize(place + 1);
      start[place] = tensor_of(file, one.name, torch::kFloat32);
    }
  std::unique_ptr<torch::optim::Optimizer> update;
  const auto restart = [&] {
    torch::NoGradGuard quiet;
    std::size_t at = 0;
    for (auto& to : model->parameters()) {
      const torch::Tensor& from = start.at(at++);
      to.copy_(from.dim() == 2 ? from.t() : from);  // ours are [inputs, outputs]
    }
    if (optimiser == "adam")
      update = std::make_unique<torch::optim::Adam>(model->parameters(), torch::optim::AdamOptions(rate));
    else
      update = std::make_unique<torch::optim::SGD>(model->parameters(), torch::optim::SGDOptions(rate));
  };
  const auto step = [&] {
    update->zero_grad();
    const torch::Tensor scores = model->forward(features);
    const torch::Tensor loss =
        labels.defined() ? torch::nn::functional::cross_entropy(scores, labels) : torch::mse_loss(scores, targets);
    loss.backward();
    update->step();
    return loss.item<float>();
  };
  restart();
  return peers::serve(restart, step, [] { std::puts("{}"); });
}
