// Serves a folder of images or an array to training jobs in other processes, until it is interrupted. See --help;
// client.py is a client in Python, <vivace/data/client.hpp> one in C++.
#include <fmt/core.h>

#include <chrono>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include <vivace/data/image_folder.hpp>
#include <vivace/data/server.hpp>
#include <vivace/io/npy.hpp>

namespace vv = vivace;

namespace {

struct options {
  std::string data, labels, socket;
  double scale = 1, cache = 0.1, lease = 60;
  int memory = 512, clients = 16, workers = -1, channels = 3, padding = 0, batch_limit = 4096, wait = 0;
  vv::data::round_mode mode = vv::data::round_mode::participants;
  std::uint64_t seed = 0;
};

/// What is worth being done once for all jobs; a flip is cheap, and the clients' own.
struct crop {
  int padding = 0;
  void operator()(float* sample, const vv::shape& of, const vv::data::sample_key& key) const {
    if (padding > 0) vv::data::random_crop{.padding = padding}(sample, of, key);
  }
};

vv::data::dataset from_array(const options& wanted) {
  const auto features = std::make_shared<const vv::io::npy_array>(wanted.data);
  const auto& extents = features->dimensions();
  if (extents.size() < 2 || extents.size() > 1 + vv::max_rank)
    throw vv::file_error("the array is no list of samples", wanted.data, std::to_string(extents.size()) + " dimensions",
                         "2 to 5 dimensions, the first one for the samples");
  vv::shape sample;
  for (std::size_t d = 1; d < extents.size(); ++d) {
    if (extents[d] < 1 || extents[d] > 0x7FFF'FFFF)
      throw vv::file_error("the shape of a sample cannot be", wanted.data, std::to_string(extents[d]), "1 or more");
    sample.extent[sample.rank++] = static_cast<std::int32_t>(extents[d]);
  }
  const vv::data::values_view values = features->type() == vv::io::element::u8 ? features->as<std::uint8_t>()
                                       : features->type() == vv::io::element::f64
                                           ? features->as<double>()
                                           : vv::data::values_view(features->as<float>());
  if (wanted.labels.empty()) return vv::data::dataset::borrow(values, sample).keep(features).scaled(wanted.scale, 0);
  struct both {
    std::shared_ptr<const vv::io::npy_array> features;
    vv::io::npy_array labels;
  };
  const auto kept = std::make_shared<const both>(features, vv::io::npy_array(wanted.labels));
  return vv::data::dataset::borrow(values, sample, kept->labels.as<std::int32_t>()).keep(kept).scaled(wanted.scale, 0);
}

/// Status of the program; -1: go on.
int parse(int count, char** arguments, options& wanted) {
  const std::map<std::string, vv::data::round_mode> modes = {{"M", vv::data::round_mode::participants},
                                                             {"Q", vv::data::round_mode::queue},
                                                             {"L", vv::data::round_mode::lockstep}};
  CLI::App app{
      "Prepares samples once for all training jobs of this user on this machine. Ends by an interrupt (Ctrl-C)."};
  app.add_option("--data", wanted.data, "folder of class folders of images, or an .npy file [samples, ...]")
      ->required();
  app.add_option("--labels", wanted.labels, ".npy file of int32, for an array");
  app.add_option("--socket", wanted.socket, "path at which clients connect")->required();
  app.add_option("--memory", wanted.memory, "shared memory in MiB")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--cache", wanted.cache, "fraction of the samples that is kept prepared")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--clients", wanted.clients, "connected at once")->capture_default_str();
  app.add_option("--lease", wanted.lease, "seconds of silence after which a client is cut off")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  app.add_option("--batch-limit", wanted.batch_limit, "samples that a client may ask for at once")
      ->capture_default_str();
  app.add_option("--workers", wanted.workers, "threads that prepare; -1: as many as the machine has")
      ->capture_default_str();
  app.add_option("--mode", wanted.mode, "who draws together: M those who want samples, Q all, L all in lockstep")
      ->transform(CLI::CheckedTransformer(modes));
  app.add_option("--wait", wanted.wait, "draw nothing before so many clients have joined")->capture_default_str();
  app.add_option("--seed", wanted.seed, "of the orders and crops")->capture_default_str();
  app.add_option("--scale", wanted.scale, "factor for the numbers of an array")->capture_default_str();
  app.add_option("--channels", wanted.channels, "3 for colour, 1 for grey images")->check(CLI::IsMember({1, 3}));
  app.add_option("--crop", wanted.padding, "random crop after so many pixels of padding")->check(CLI::Range(0, 1000));
  try {
    app.parse(count, arguments);
    return -1;
  } catch (const CLI::ParseError& failure) {
    return app.exit(failure);
  }
}

void serve(const options& wanted) {
  const vv::data::dataset set =
      wanted.data.ends_with(".npy") ? from_array(wanted) : vv::data::image_folder(wanted.data, wanted.channels);
  vv::data::server_options how;
  how.socket = wanted.socket;
  how.memory = static_cast<std::uint64_t>(wanted.memory) << 20;
  how.clients = wanted.clients;
  how.lease = std::chrono::milliseconds(static_cast<int>(1000 * wanted.lease));
  how.batch_limit = wanted.batch_limit;
  how.hub.seed = wanted.seed;
  how.hub.mode = wanted.mode;
  how.hub.workers = wanted.workers;
  how.hub.start_with = wanted.wait;
  const double bytes = static_cast<double>(set.size()) * static_cast<double>(set.sample_shape().size()) * sizeof(float);
  how.hub.cache_bytes = static_cast<std::uint64_t>(wanted.cache * bytes);
  const vv::data::data_server server{set, how, crop{wanted.padding}};
  fmt::print("{} samples at {}\n", set.size(), wanted.socket);
  std::fflush(stdout);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  int which = 0;
  sigwait(&ends, &which);
  const auto done = server.statistics();
  fmt::print("{} samples delivered, {} prepared, {} leases expired\n", done.samples.deliveries,
             done.samples.preparations, done.expired);
}

}  // namespace

int main(int count, char** arguments) {
  options wanted;
  if (const int status = parse(count, arguments, wanted); status >= 0) return status;
  // Before there are threads, which would take these signals otherwise.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  try {
    serve(wanted);
    return 0;
  } catch (const std::exception& failure) {
    fmt::print(stderr, "{}\n", failure.what());
    return 1;
  }
}
