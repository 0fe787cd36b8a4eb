#include <doctest/doctest.h>

#include <vivace/nn/attention.hpp>
#include <vivace/nn/embedding.hpp>
#include <vivace/nn/gpt.hpp>

#include "check.hpp"

// Embeddings, attention, transformers.

namespace {

namespace vv = vivace;
using gradient_check::check;
using gradient_check::fill;
using gradient_check::function;
using gradient_check::operand;
using vv::rows;
using vv::value;
using values = std::vector<value>;

const operand positions{{rows, 3, 4}, fill::plain, -0.7, 0.9};

}  // namespace

TEST_CASE("gradient: embedding") {
  check(function{"of a label", {{{rows}, fill::labels, 0, 3}}, [](vv::builder&, const values& x) {
                   return square(apply(vv::embedding{3, 2}, x[0]));
                 }});
  check(function{"of positions", {{{rows, 4}, fill::labels, 0, 3}}, [](vv::builder&, const values& x) {
                   return square(apply(vv::embedding{3, 2}, x[0]));
                 }});
  check(function{"positional", {positions}, [](vv::builder&, const values& x) {
                   return square(apply(vv::positional_embedding{}, x[0]));
                 }});
}

TEST_CASE("gradient: multi-head attention") {
  for (const bool causal : {false, true})
    for (const int heads : {1, 2})
      check(function{"attention",
                     {positions},
                     [&](vv::builder&, const values& x) {
                       return apply(vv::multi_head_attention{.heads = heads, .causal = causal}, x[0]);
                     }},
            3, 2);
  check(function{"attention with dropout",
                 {positions},
                 [&](vv::builder&, const values& x) {
                   return apply(vv::multi_head_attention{.heads = 2, .dropout = 0.3}, x[0]);
                 }},
        3, 2);
}

TEST_CASE("gradient: a language model") {
  const operand tokens{{rows, 3}, fill::labels, 0, 5};
  check(function{"language model",
                 {tokens, tokens},
                 [](vv::builder&, const values& x) {
                   const vv::gpt body{.layers = 1, .width = 2, .heads = 1, .context = 3, .vocabulary = 5};
                   return vv::ops::mean_cross_entropy(apply(body, x[0]) * 0.3, x[1]);
                 }},
        2, 2);
}
