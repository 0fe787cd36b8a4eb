#pragma once
#include <algorithm>
#include <cstdio>

#include <fmt/core.h>

#if defined(TRAIN_ON_CUDA)
#include <vivace/exec/cuda.hpp>
#endif
#include <vivace/exec/tbb.hpp>
#include <vivace/train/summary.hpp>
#include <vivace/vivace.hpp>

#include "networks.hpp"
#include "options.hpp"
#include "outcome.hpp"

inline std::string text_of(const vv::adamw& from) {
  return fmt::format("AdamW, rate {}, weight decay {}", from.rate, from.weight_decay);
}
inline std::string text_of(const vv::sgd_momentum& from) {
  return fmt::format("SGD, rate {}, {}momentum {}, weight decay {}", from.rate, from.nesterov ? "Nesterov " : "",
                     from.momentum, from.weight_decay);
}

/// Trains a network as its recipe and the options say.
template <class Net, class Executor>
void train_on(const Executor& executor, const options& wanted, const samples& data) {
  constexpr auto best = Net::best;
  const int epochs = wanted.epochs.value_or(best.epochs);
  const int batch = wanted.batch.value_or(best.batch);
  auto optimiser = best.optimiser;
  optimiser.rate = wanted.rate.value_or(optimiser.rate);
  const vv::cosine schedule{.epochs = static_cast<double>(epochs), .warm_up = (std::min)(best.warm_up, 0.2 * epochs)};

  constexpr auto facts = vv::summary<Net, vv::batch<batch_limit>, best.optimiser>();
  fmt::print("{} on {}\n\n{}\n", Net::name, data.name, vv::to_string(facts));
  std::fflush(stdout);

  vv::trainer trainer{Net{}, vv::batch<batch_limit>, optimiser, schedule, executor, vv::seed{wanted.seed}};
  const std::string saved = wanted.out + "/checkpoint.safetensors";
  if (wanted.resume) {
    vv::resume(trainer, saved);
    fmt::print("goes on after epoch {} of {}\n", trainer.history().size(), epochs);
  }
  outcome result;
  result.trace = trainer.fit(data.train, vv::epochs{epochs}, vv::batch_of{batch}, vv::augment{best.augmentation},
                             vv::validation{data.test}, vv::progress{}, vv::checkpoint{saved},
                             vv::write_csv{wanted.out + "/trace.csv"});
  result.test = trainer.evaluate(data.test);
  result.network = Net::name;
  result.parameters = facts.totals.parameters;
  result.arena_bytes = facts.totals.arena_bytes;
  result.architecture = vv::table_of(facts);
  result.settings = {{"optimiser", text_of(optimiser)},
                     {"schedule", fmt::format("half a cosine over {} epochs, warm-up {}", epochs, schedule.warm_up)},
                     {"batch", std::to_string(batch)},
                     {"augmentation", best.described},
                     {"seed", std::to_string(wanted.seed)},
                     {"device", wanted.device},
                     {"threads", wanted.threads == 0 ? "as many as the machine has" : std::to_string(wanted.threads)},
                     {"FLOPs of a sample, forward", vv::grouped(facts.totals.work.flops)}};
  finish(wanted, data, result);
}

/// The same on the device that is wanted. One instance for each network, in a file of its own, so that they compile side
/// by side.
template <class Net>
void train(const options& wanted, const samples& data) {
#if defined(TRAIN_ON_CUDA)
  if (wanted.device == "cuda") return train_on<Net>(vv::cuda{}, wanted, data);
#endif
  train_on<Net>(vv::tbb{.threads = wanted.threads}, wanted, data);
}
