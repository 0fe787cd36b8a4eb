#include <vivace/train/summary.hpp>

#include <doctest/doctest.h>

#include <string>

#include <vivace/nn/blocks.hpp>
#include <vivace/optim/adam.hpp>

namespace vv = vivace;

namespace {

struct small_lenet {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::lenet{});
};
struct wide {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::mlp<512, 256, 10>{});
};
struct resnet20 {
  static constexpr auto graph = vv::classifier(vv::image{1, 28, 28}, vv::classes{10}, vv::resnet_cifar<20, 16>{});
};
struct resnet20_colour {
  static constexpr auto graph = vv::classifier(vv::image{3, 32, 32}, vv::classes{10}, vv::resnet_cifar<20, 16>{});
};
struct ridge {
  static constexpr auto graph = vv::define([](vv::builder& g) {
    const auto x = g.input("x", {vv::rows, 13});
    const auto y = g.input("y", {vv::rows, 1});
    const auto w = g.parameter("w", {13, 1});
    return mean(square(matmul(x, w) - y)) + 1e-3 * sum(square(w));
  });
};

// Counted by hand.
static_assert(vv::parameters<small_lenet> == 215'370);
static_assert(vv::parameters<wide> == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10);
static_assert(vv::parameters<resnet20> == 269'434);
static_assert(vv::parameters<resnet20_colour> == 269'722);

// In bfloat16, what the forward pass leaves takes half.
static_assert(10 * vv::arena_bytes<resnet20, vv::batch<128>, vv::sgd{}, vv::bf16{}> <
              7 * vv::arena_bytes<resnet20, vv::batch<128>, vv::sgd{}>);

constexpr auto table = vv::summary<small_lenet, vv::batch<32>, vv::adamw{}>();
static_assert(table.totals.parameters == 215'370);
static_assert(table.totals.batch == 32);
static_assert(table.totals.arena_bytes == vv::arena_bytes<small_lenet, vv::batch<32>, vv::adamw{}>);
static_assert(table.lines[0].output == vv::shape{vv::rows, 16, 28, 28});
static_assert(table.lines[0].parameters == 16 * 25 + 16);
// The products, and the bias: one addition an output.
static_assert(table.lines[0].work.flops == 2 * 25 * 16 * 784 + 16 * 784);
static_assert(table.lines[0].work.bytes == 4 * (784 + 16 * 25 + 16 + 16 * 784));          // image, weight, bias, result
static_assert(table.lines[1].work == vv::cost{16 * 784, 4 * 2 * 16 * 784});               // relu
static_assert(table.lines[2].work == vv::cost{4 * 16 * 196, 4 * (16 * 784 + 16 * 196)});  // max_pool
static_assert(table.lines[6].work == vv::cost{});                                         // flatten moves nothing
static_assert(table.lines[7].work.flops == 2 * 1568 * 128 + 128);
static_assert(table.lines[10].work.flops == 4 * 10 + 1 + 1);  // cross entropy, mean over the batch
static_assert(vv::flops<small_lenet> == table.totals.work.flops);

}  // namespace

TEST_CASE("summary: the totals are the sums of the lines") {
  constexpr auto facts = vv::summary<resnet20>();
  std::int64_t parameters = 0;
  vv::cost work;
  for (const auto& line : facts.lines) {
    parameters += line.parameters;
    work += line.work;
  }
  CHECK(parameters == 269'434);
  CHECK(parameters == facts.totals.parameters);
  CHECK(work == facts.totals.work);
  CHECK(work.flops == vv::flops<resnet20>);
}

TEST_CASE("summary: a ResNet's products are those of its convolutions") {
  // 3x3 convolutions at 28, 14 and 7 pixels; the first of a stage reads half the channels.
  const std::int64_t products = 9 * 16 * 784 + 6 * 9 * 16 * 16 * 784 + 9 * 16 * 32 * 196 + 5 * 9 * 32 * 32 * 196 +
                                9 * 32 * 64 * 49 + 5 * 9 * 64 * 64 * 49 + 64 * 10;
  CHECK(vv::flops<resnet20> > 2 * products);
  CHECK(vv::flops<resnet20> < 2 * products * 105 / 100);  // normalisation and the like
  constexpr auto facts = vv::summary<resnet20>();
  constexpr int lines = sizeof facts.lines / sizeof facts.lines[0];
  CHECK(facts.lines[lines - 2].output == vv::shape{vv::rows, 10});
  CHECK(facts.lines[lines - 3].output == vv::shape{vv::rows, 64});
}

TEST_CASE("summary: a free-form model is one line") {
  constexpr auto facts = vv::summary<ridge>();
  static_assert(sizeof facts.lines == sizeof facts.lines[0]);
  CHECK(facts.lines[0].name.view() == "loss");
  CHECK(facts.lines[0].parameters == 13);
  CHECK(facts.lines[0].output == vv::shape{});
  // Product, difference, square, sum and mean for a sample; square, sum, factor, addition once.
  CHECK(facts.lines[0].work.flops == 26 + 1 + 1 + 2 + 13 + 13 + 1 + 1);
  CHECK(facts.lines[0].work.bytes == 4 * (13 + 1 + 13));
}

TEST_CASE("summary: the text is aligned") {
  const std::string text = vv::to_string(table);
  CHECK(text.find("0.conv2d") != std::string::npos);
  CHECK(text.find("[batch, 16, 28, 28]") != std::string::npos);
  CHECK(text.find("215 370") != std::string::npos);
  CHECK(text.find("step of 32 samples needs") != std::string::npos);
  const auto line = [&](std::size_t wanted) {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < wanted; ++i) begin = text.find('\n', begin) + 1;
    return text.substr(begin, text.find('\n', begin) - begin);
  };
  CHECK(line(0).size() == line(1).size());
  CHECK(line(1).find_first_not_of('-') == std::string::npos);
  CHECK(line(2).size() == line(0).size());   // the last column is aligned to the right
  CHECK(line(14).size() == line(0).size());  // total
  CHECK(line(14).substr(0, 5) == "total");
}

TEST_CASE("summary: digits in groups of three") {
  CHECK(vv::grouped(0) == "0");
  CHECK(vv::grouped(999) == "999");
  CHECK(vv::grouped(1000) == "1 000");
  CHECK(vv::grouped(-123) == "-123");
  CHECK(vv::grouped(-1234567) == "-1 234 567");
}
