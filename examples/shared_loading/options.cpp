#include "options.hpp"

#include <algorithm>
#include <CLI/CLI.hpp>
#include <cmath>
#include <map>
#include <vivace/io/file.hpp>

namespace vv = vivace;

namespace {

constexpr double most_samples = 2e8, most_ticks = 4e9;

std::string not_negative(const std::string& text) {  // an unsigned option would take -1 for its largest number
  return text.find('-') == std::string::npos ? std::string{} : text + " is below zero";
}

/// CLI::Range lets "nan" pass.
CLI::Validator within(double least, double most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && number >= least && number <= most) return std::string{};
        return text + " is not a number from " + std::to_string(least) + " to " + std::to_string(most);
      },
      "NUMBER");
}

/// What no single option shows: a simulation that would not end in reasonable time and memory.
void expect_reasonable(const options& wanted) {
  const double samples = static_cast<double>(wanted.jobs) * wanted.items;
  if (samples > most_samples)
    throw CLI::ValidationError(
        "--items", "jobs times items is " + std::to_string(samples) + ", more than " + std::to_string(most_samples));
  const double size = wanted.kind == vv::data::overlap_kind::random ? wanted.overlap * wanted.items : wanted.items;
  if (std::llround(wanted.overlap * wanted.items) == 0 && wanted.kind == vv::data::overlap_kind::random)
    throw CLI::ValidationError("--overlap", "leaves no item to a job");
  const auto [slowest, fastest] = std::minmax_element(wanted.speeds.begin(), wanted.speeds.end());
  const double last = *std::max_element(wanted.offsets.begin(), wanted.offsets.end());
  if (size * *fastest * (last + wanted.epochs / *slowest) > most_ticks)
    throw CLI::ValidationError("--speeds", "the slowest job would take more than " + std::to_string(most_ticks) +
                                               " items of the fastest: use fewer items or epochs, nearer speeds or "
                                               "smaller offsets");
}

}  // namespace

std::optional<options> parse(int count, char** arguments, int& status) {
  using vv::data::eviction, vv::data::overlap_kind, vv::data::round_mode;
  const std::map<std::string, eviction> policies = {{"refcount", eviction::reference_count},
                                                    {"lru", eviction::lru},
                                                    {"fifo", eviction::fifo},
                                                    {"fixed", eviction::fixed}};
  const std::map<std::string, round_mode> modes = {
      {"M", round_mode::participants}, {"Q", round_mode::queue}, {"L", round_mode::lockstep}};
  const std::map<std::string, overlap_kind> kinds = {{"core", overlap_kind::core}, {"random", overlap_kind::random}};
  options wanted;
  std::string policy = "refcount", mode = "M", kind = "core";
  CLI::App app{
      "Simulates jobs that share data preparation on a virtual clock, and counts how often samples are "
      "prepared."};
  app.add_option("--jobs", wanted.jobs, "jobs at work")
      ->check(CLI::Range(1, vv::data::max_jobs))
      ->capture_default_str();
  app.add_option("--items", wanted.items, "items of a job; with --overlap-kind random, of the common set")
      ->check(CLI::Validator(not_negative, ""))
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  app.add_option("--speeds", wanted.speeds, "speeds, cycled over the jobs: 1,2")
      ->delimiter(',')
      ->check(within(1e-3, 1e3))
      ->capture_default_str();
  app.add_option("--offsets", wanted.offsets, "starts, in epochs of a job of speed 1, cycled over the jobs: 0,0.5")
      ->delimiter(',')
      ->check(within(0, 1e6))
      ->capture_default_str();
  app.add_option("--overlap", wanted.overlap,
                 "part of a job's items that all jobs have (core), or of the common set "
                 "that a job draws (random)")
      ->check(within(0, 1))
      ->capture_default_str();
  app.add_option("--overlap-kind", kind, "how subsets overlap")
      ->check(CLI::IsMember({"core", "random"}))
      ->capture_default_str();
  app.add_option("--cache", wanted.cache, "samples that the cache holds, as a fraction of the union of all subsets")
      ->check(within(0, 1))
      ->capture_default_str();
  app.add_option("--policy", policy, "which sample leaves the cache")
      ->check(CLI::IsMember({"refcount", "lru", "fifo", "fixed"}))
      ->capture_default_str();
  app.add_option("--sampler", wanted.sampler, "how jobs draw")
      ->check(CLI::IsMember({"dependent", "independent", "pairwise", "substitute", "pairwise+substitute"}))
      ->capture_default_str();
  app.add_option("--mode", mode, "who takes part in a round: participants, queue or lockstep")
      ->check(CLI::IsMember({"M", "Q", "L"}))
      ->capture_default_str();
  app.add_option("--max-lead", wanted.max_lead, "items that a job may be ahead of the slowest one; default: any")
      ->check(CLI::Validator(not_negative, ""));
  app.add_option("--epochs", wanted.epochs, "epochs of each job")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--seed", wanted.seed, "of all that is random")
      ->check(CLI::Validator(not_negative, ""))
      ->capture_default_str();
  app.add_flag("--correlation", wanted.correlation,
               "measure how far orders of epochs and of jobs depend on each other");
  auto* json =
      app.add_option("--json", wanted.json_file, "print JSON and nothing else, or write it to a file")->expected(0, 1);
  try {
    app.parse(count, arguments);
    wanted.json = json->count() > 0;
    wanted.policy = policies.at(policy);
    wanted.mode = modes.at(mode);
    wanted.kind = kinds.at(kind);
    expect_reasonable(wanted);
    try {
      if (!wanted.json_file.empty()) const vv::io::atomic_file probe(wanted.json_file);
    } catch (const vv::file_error& failure) {
      throw CLI::ValidationError("--json", failure.what());
    }
  } catch (const CLI::ParseError& failure) {
    status = app.exit(failure) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return wanted;
}
