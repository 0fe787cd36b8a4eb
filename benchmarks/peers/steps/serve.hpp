#pragma once
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>

// How a program takes part in an interleaved measurement: it sleeps until a line on standard input tells it to work,
// and answers each line with one line of JSON.
//   losses N   from the start again: N steps, their losses
//   time S     steps for about S seconds: how many, wall and processor seconds of the process
//   limits 0   (ours only) the machine's peak and bandwidth now, and the work of a step
//   quit

namespace peers {

inline double processor_seconds() {
  std::timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Restart, class Step, class Limits>
int serve(Restart&& restart, Step&& step, Limits&& limits) {
  using clock = std::chrono::steady_clock;
  double seconds_of_step = 0;
  const auto run = [&](std::int64_t steps) {
    const double processor = processor_seconds();
    const clock::time_point start = clock::now();
    for (std::int64_t i = 0; i < steps; ++i) (void)step();
    const double wall = std::chrono::duration<double>(clock::now() - start).count();
    seconds_of_step = wall / static_cast<double>(steps);
    std::printf("{\"steps\": %lld, \"wall\": %.9f, \"cpu\": %.9f}\n", static_cast<long long>(steps), wall,
                processor_seconds() - processor);
  };
  std::string word;
  while (std::cin >> word && word != "quit") {
    double argument = 0;
    std::cin >> argument;
    if (word == "losses") {
      restart();
      std::printf("{\"losses\": [");
      for (int i = 0; i < static_cast<int>(argument); ++i)
        std::printf(i == 0 ? "%.9g" : ", %.9g", static_cast<double>(step()));
      std::printf("]}\n");
    } else if (word == "limits") {
      limits();
    } else if (word == "time") {
      run(seconds_of_step > 0 ? static_cast<std::int64_t>(std::ceil(argument / seconds_of_step)) : 1);
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace peers
