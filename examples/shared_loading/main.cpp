// Jobs that share the preparation of their data, on a virtual clock: how often is a sample prepared? See --help.
#include <fmt/core.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <vivace/data/sharing/correlation.hpp>
#include <vivace/data/sharing/dependent.hpp>
#include <vivace/data/sharing/pairwise.hpp>
#include <vivace/data/sharing/simulation.hpp>
#include <vivace/io/file.hpp>

#include "options.hpp"

namespace vv = vivace;

namespace {

struct outcome {
  vv::data::simulation_result figures;
  double between_epochs = 0, between_jobs = 0;
};

template <class Model>
outcome run(const options& wanted) {
  auto subsets = vv::data::make_overlap(wanted.jobs, wanted.items, wanted.overlap, wanted.kind, wanted.seed);
  std::vector<bool> seen(subsets.universe);
  double all = 0;
  std::vector<vv::data::simulated_job> jobs;
  for (std::size_t j = 0; j < subsets.jobs.size(); ++j) {
    for (const std::uint32_t item : subsets.jobs[j]) {
      all += seen[item] ? 0 : 1;
      seen[item] = true;
    }
    vv::data::simulated_job one;
    one.items = std::move(subsets.jobs[j]);
    one.speed = wanted.speeds[j % wanted.speeds.size()];
    one.start = wanted.offsets[j % wanted.offsets.size()] * static_cast<double>(one.items.size());
    one.epochs = wanted.epochs;
    jobs.push_back(std::move(one));
  }
  vv::data::share_options how;
  how.rounds = {.seed = wanted.seed, .mode = wanted.mode, .max_lead = wanted.max_lead.value_or(vv::data::any_lead)};
  how.cache.capacity = static_cast<std::uint64_t>(std::llround(wanted.cache * all));  // a sample counts as one
  how.cache.policy = wanted.policy;
  how.substitute = wanted.sampler.ends_with("substitute");
  outcome result;
  if (wanted.correlation) {
    vv::data::order_record orders(jobs.size(), subsets.universe);
    result.figures =
        vv::data::simulate<Model>(subsets.universe, jobs, how, [&](std::uint64_t, std::size_t job, const auto& order) {
          orders.add(job, order.item, jobs[job].items.size());
        });
    result.between_epochs = orders.between_epochs();
    result.between_jobs = orders.between_jobs();
  } else {
    result.figures = vv::data::simulate<Model>(subsets.universe, jobs, how);
  }
  return result;
}

outcome run_as_asked(const options& wanted) {
  if (wanted.sampler == "independent") return run<vv::data::independent_cells>(wanted);
  if (wanted.sampler.starts_with("pairwise")) return run<vv::data::pairwise_cells>(wanted);
  return run<vv::data::dependent_cells>(wanted);
}

std::string json_of(const options& wanted, const outcome& result) {
  nlohmann::ordered_json figures = {{"preparations_per_item", result.figures.preparations_per_item()},
                                    {"hit_rate", result.figures.hit_rate()},
                                    {"items_of_union", result.figures.union_items},
                                    {"deliveries", result.figures.deliveries},
                                    {"preparations", result.figures.preparations}};
  if (wanted.correlation) {
    figures["correlation_between_epochs"] = result.between_epochs;
    figures["correlation_between_jobs"] = result.between_jobs;
  }
  figures["jobs"] = nlohmann::ordered_json::array();
  for (const vv::data::simulated_outcome& one : result.figures.jobs)
    figures["jobs"].push_back({{"items", one.items},
                               {"delivered", one.delivered},
                               {"prepared", one.prepared},
                               {"start", one.start},
                               {"end", one.end}});
  return figures.dump(2) + '\n';
}

void print(const options& wanted, const outcome& result) {
  const vv::data::simulation_result& all = result.figures;
  fmt::print("{:.4f} preparations per item of the union ({} of {} items), hit rate {:.2f} %\n",
             all.preparations_per_item(), all.preparations, all.union_items, 100 * all.hit_rate());
  if (wanted.correlation)
    fmt::print("rank correlation: between epochs of a job {:.3f}, between jobs {:.3f}\n", result.between_epochs,
               result.between_jobs);
  fmt::print("\n{:>4} {:>10} {:>12} {:>12} {:>12} {:>12}\n", "job", "items", "delivered", "prepared", "start", "end");
  for (std::size_t j = 0; j < all.jobs.size(); ++j) {
    const vv::data::simulated_outcome& one = all.jobs[j];
    fmt::print("{:>4} {:>10} {:>12} {:>12} {:>12.1f} {:>12.1f}\n", j, one.items, one.delivered, one.prepared, one.start,
               one.end);
  }
  fmt::print("\nprepared: samples that the job was the first to get; start and end in items of a job of speed 1\n");
}

}  // namespace

int main(int count, char** arguments) {
  int status = 0;
  try {
    const auto wanted = parse(count, arguments, status);
    if (!wanted) return status;
    const outcome result = run_as_asked(*wanted);
    const std::string json = json_of(*wanted, result);
    if (wanted->json && wanted->json_file.empty()) {
      std::fputs(json.c_str(), stdout);
      return std::fflush(stdout) == 0 ? 0 : 1;
    }
    print(*wanted, result);
    if (wanted->json) {
      vv::io::atomic_file file(wanted->json_file);
      file.write(json.data(), json.size());
      file.commit();
    }
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
  }
  return 0;
}
