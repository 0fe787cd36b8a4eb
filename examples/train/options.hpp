#pragma once
#include <optional>
#include <string>

/// What the command line says; what it leaves open, the recipe of the network decides.
struct options {
  std::string network = "lenet";
  std::optional<int> epochs, batch;
  std::optional<double> rate;
  std::optional<long long> samples;  ///< of the training set; all if not given
  std::optional<std::string> data;   ///< folder of Fashion-MNIST, or "shapes"
  std::string device = "cpu";        ///< or "cuda", in a program that was built with it
  int threads = 0;                   ///< of the CPU; 0: as many as the machine has
  unsigned long long seed = 1;
  std::string out = "train_out";
  std::string json;  ///< empty: none
  bool resume = false;
};

/// Most samples of a batch: the memory for them is planned at compile time.
inline constexpr int batch_limit = 256;

/// Reads the command line and makes sure that results can be written.
/// @return nothing if the program is to end with `status`: help was asked for, or an option is wrong
std::optional<options> parse(int count, char** arguments, int& status);
