#pragma once
// Random graphs: a seed gives a graph. Functions are bounded and continuous, so that rounding stays rounding.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>
#include <vivace/core/random.hpp>
#include <vivace/graph/differentiate.hpp>
#include <vivace/nn/scan.hpp>

namespace graph_test {

namespace vv = vivace;
using vv::value;

class dice {
 public:
  explicit dice(std::uint64_t seed) : random_(seed, 1) {}
  int below(int bound) { return static_cast<int>(random_.below(next_++, static_cast<std::uint64_t>(bound))); }
  bool often(int percent) { return below(100) < percent; }

 private:
  vv::random_stream random_;
  std::uint64_t next_ = 0;
};

class random_graph {
 public:
  static constexpr int label_bound = 2;  ///< labels are below it

  /// @param steps how many operations, about
  random_graph(std::uint64_t seed, int steps, bool with_products = true, bool with_loops = false)
      : dice_(seed), with_products_(with_products), with_loops_(with_loops) {
    for (int p = 0; p < 3; ++p) keep(graph_.parameter("p" + std::to_string(p), fixed_shape(), start()));
    for (int s = 0; s < 2; ++s) keep(graph_.state("s" + std::to_string(s), fixed_shape(), start()));
    stored_ = values_;
    for (int i = 0; i < 2; ++i) keep(graph_.input("i" + std::to_string(i), batch_shape()));
    labels_ = graph_.labels("labels", {vv::rows});
    setting_ = graph_.setting("setting");
    keep(setting_);
    for (int i = 0; i < steps; ++i) step();
    if (dice_.often(60)) add_gradients();
    add_updates();
    for (int o = 0; o < 1 + dice_.below(3); ++o) graph_.output("o" + std::to_string(o), any());
    // The loss keeps everything alive that nothing else reads.
    value loss = mean(any());
    for (int i = 0; i < 6; ++i) loss = loss + mean(any());
    graph_.result().loss = loss.index();
  }

  [[nodiscard]] vv::graph take() { return graph_.take(); }

 private:
  static vv::initialiser start() { return {vv::initialiser::rule::uniform, 1}; }
  void keep(value made) {
    if (graph_.failed()) return;  // checked at the end
    if (made.dims().size() <= 2000) values_.push_back(made);
  }
  value any() {
    // Recent values, mostly: graphs grow deep as well as wide.
    const int count = static_cast<int>(values_.size());
    const int first = dice_.often(60) ? (std::max)(0, count - 6) : 0;
    return values_[static_cast<std::size_t>(first + dice_.below(count - first))];
  }
  std::int32_t extent() {
    constexpr std::int32_t some[] = {1, 1, 2, 3, 3, 4, 17};
    return some[dice_.below(7)];
  }
  vv::shape fixed_shape() {
    const vv::shape some[] = {{3}, {1}, {extent(), 3}, {3, extent()}, {extent(), extent()}, {2, extent(), 3}, {}};
    return some[dice_.below(7)];
  }
  vv::shape batch_shape() {
    const vv::shape some[] = {{vv::rows, 3}, {vv::rows, extent()}, {vv::rows, 2, 3}, {vv::rows, 2, 4, 3}, {vv::rows, 61}};
    return some[dice_.below(5)];
  }
  static int batch_axis(const vv::shape& dims) {
    for (int d = 0; d < dims.rank; ++d)
      if (dims[d] < 0) return d;
    return -1;
  }
  /// An axis that is not the batch; -1 if there is none.
  int plain_axis(const vv::shape& dims) {
    if (dims.rank == 0) return -1;
    const int d = dice_.below(dims.rank);
    return dims[d] < 0 ? -1 : d;
  }

  void step() {
    if (with_loops_ && dice_.often(12)) return loop(any());
    const int kind = dice_.below(with_products_ ? 26 : 20);
    if (kind < 5)
      unary(any());
    else if (kind < 11)
      binary(any());
    else if (kind < 14)
      reduce(any());
    else if (kind < 16)
      reshape(any());
    else if (kind < 20)
      move(any());
    else if (kind < 24)
      product(any());
    else
      row(any());
  }

  void unary(value x) {
    switch (dice_.below(11)) {
      case 0: return keep(tanh(x));
      case 1: return keep(sigmoid(x));
      case 2: return keep(sin(x));
      case 3: return keep(cos(x));
      case 4: return keep(x * 0.5 + 0.25);
      case 5: return keep(-x);
      case 6: return keep(relu(x));
      case 7: return keep(square(tanh(x)));
      case 8: return keep(reciprocal(2.0 + square(x)));
      case 9: return keep(x * dropout_mask(x, 0.3, static_cast<std::uint32_t>(values_.size())));
      default: return keep(exp(-square(x)));
    }
  }

  void binary(value a) {
    for (int trial = 0; trial < 8; ++trial) {
      value b = any();
      vv::shape dims;
      if (!vv::ops::broadcast_shapes(a.dims(), b.dims(), dims)) continue;
      if (std::count_if(dims.extent, dims.extent + dims.rank, [](std::int32_t e) { return e < 0; }) > 1) continue;
      switch (dice_.below(7)) {
        case 0: return keep(a + b);
        case 1: return keep(a - b);
        case 2: return keep(tanh(a) * tanh(b));
        case 3: return keep(maximum(a, b));
        case 4: return keep(minimum(a, b));
        case 5: return keep(a / (1.0 + square(b)));
        default: return keep(where(graph_.constant(dice_.below(2)), a, b));
      }
    }
  }

  void reduce(value x) {
    vv::shape kept = x.dims();
    for (int d = 0; d < kept.rank; ++d)
      if (dice_.often(50)) kept[d] = 1;
    if (dice_.often(20)) kept = vv::shape{};
    switch (dice_.below(4)) {
      case 0: return keep(vv::ops::sum_to(x, kept, true));
      case 1: return keep(tanh(vv::ops::sum_to(x, kept)));
      case 2:
        if (x.dims().rank > 0) keep(max(x, {dice_.below(x.dims().rank)}));
        return;
      default: {  // and back
        const value small = vv::ops::sum_to(x, kept, true);
        return keep(broadcast(small, x.dims(), dice_.often(50)));
      }
    }
  }

  void reshape(value x) {
    vv::shape dims = x.dims();
    if (dims.rank >= 2 && dice_.often(50)) {
      dims = vv::ops::merge_leading(dims, 1 + dice_.below(dims.rank));
      if (batch_axis(x.dims()) > 0) return;
    } else if (dims.rank < vv::max_rank && dice_.often(50)) {
      vv::shape longer;
      const int at = dice_.below(dims.rank + 1);
      for (int d = 0, from = 0; d <= dims.rank; ++d) longer.extent[longer.rank++] = d == at ? 1 : dims[from++];
      dims = longer;
    } else {
      const int d = plain_axis(dims);
      if (d < 0 || dims.rank == vv::max_rank || dims[d] % 2 != 0) return;
      vv::shape split;
      for (int e = 0; e < dims.rank; ++e) {
        if (e == d) split.extent[split.rank++] = 2;
        split.extent[split.rank++] = e == d ? dims[e] / 2 : dims[e];
      }
      dims = split;
    }
    keep(vv::ops::reshape(x, dims));
  }

  void move(value x) {
    const int axis = plain_axis(x.dims());
    switch (dice_.below(4)) {
      case 0: {
        const int rank = x.dims().rank;
        if (rank == 2) return keep(transpose(x));
        if (rank == 3) return keep(dice_.often(50) ? transpose(x, {2, 0, 1}) : transpose(x, {0, 2, 1}));
        if (rank == 4) return keep(dice_.often(50) ? transpose(x, {0, 2, 1, 3}) : transpose(x, {3, 1, 0, 2}));
        return;
      }
      case 1:
        if (axis >= 0) {
          const int first = dice_.below(x.dims()[axis]);
          keep(slice(x, axis, first, 1 + dice_.below(x.dims()[axis] - first)));
        }
        return;
      case 2:
        if (axis >= 0) {
          const int before = dice_.below(3);
          keep(pad(x, axis, before, before + x.dims()[axis] + dice_.below(2)));
        }
        return;
      default:
        if (axis >= 0) keep(concatenate(x, tanh(x), axis));
    }
  }

  /// A loop whose body is a random graph too: it may read all that there is, carries some of it, and makes new values.
  void loop(value from) {
    if (depth_ == 2 || from.dims().rank == 0) return;
    int axis = dice_.below(from.dims().rank);
    if (from.dims()[axis] < 0) return;
    std::vector<value> state;
    for (int s = dice_.below(3); s > 0; --s) state.push_back(any());
    const std::size_t known = values_.size();
    ++depth_;
    const value all = vv::ops::scan(from, axis, state, [&](value part, std::vector<value>& carried) {
      values_.resize(known);
      values_.push_back(part);
      for (const value& one : carried) values_.push_back(one);
      for (int i = 1 + dice_.below(5); i > 0; --i) step();
      for (value& one : carried) {
        const std::size_t own = known + 1 + static_cast<std::size_t>(dice_.below(static_cast<int>(carried.size())));
        if (dice_.often(20)) continue;              // unchanged
        if (dice_.often(20) && values_[own].dims() == one.dims()) {
          one = values_[own];                       // another's old value
          continue;
        }
        value next = fitted(one.dims());
        if (dice_.often(60)) next = tanh(one * 0.5 + next);
        one = next;
      }
      return dice_.often(20) && !carried.empty() ? carried[0] : any();
    });
    --depth_;
    values_.resize(known);
    if (graph_.result().mistake.what == vv::problem::wrong_rank) {  // too many axes for a stack
      graph_.result().mistake = {};
      return;
    }
    keep(tanh(all));
    for (const value& one : state) keep(tanh(one));
  }

  value weight(const vv::shape& dims) {
    return graph_.parameter("w" + std::to_string(graph_.result().parameters.size()), dims, start());
  }

  void product(value x) {
    const vv::shape dims = x.dims();
    const int rank = dims.rank;
    if (rank == 4 && batch_axis(dims) == 0 && dice_.often(70)) {
      vv::window frame;
      frame.padding[0] = frame.padding[1] = 1;
      frame.stride[1] = static_cast<std::int16_t>(1 + dice_.below(2));
      const value made = convolve(x, weight({2, dims[1], 2, 2}), frame);
      return finish(made, dice_.often(50) ? weight({2, 1, 1}) : made);
    }
    if (rank < 2) return;
    if (dims[rank - 1] > 0 && dice_.often(60)) {
      const bool flipped = dice_.often(30);
      const std::int32_t units = extent();
      const std::int32_t width = dims[rank - 1];
      if (rank > 2 && batch_axis(dims) > 0) return;
      const value made = matmul(x, weight(flipped ? vv::shape{units, width} : vv::shape{width, units}), false, flipped);
      return finish(made, weight({units}));
    }
    if (dims[rank - 1] > 0) return finish(matmul(x, x, true, false), x);
    if (dims[rank - 2] > 0) return finish(matmul(x, x, false, true), x);
  }
  /// Sometimes what follows a product: a bias, a function, both.
  void finish(value made, value bias) {
    vv::shape dims;
    if (dice_.often(60) && vv::ops::broadcast_shapes(made.dims(), bias.dims(), dims) && dims == made.dims()) made = made + bias;
    if (dice_.often(70)) made = tanh(made * 0.5);
    keep(made);
  }

  void row(value x) {
    const vv::shape dims = x.dims();
    if (dims.rank > 0 && dice_.often(50)) return keep(softmax(x, dims.rank > 1 && dice_.often(50)));
    if (dims.rank == 2 && dims[0] == vv::rows && dims[1] >= label_bound) return keep(cross_entropy(x, labels_, 0.1));
    if (dims.rank == 2 && dims[0] >= label_bound && dims[1] > 0) return keep(take_rows(x, labels_));
  }

  void add_gradients() {
    value loss = mean(any());
    for (int i = 0; i < 3; ++i) loss = loss + mean(square(any()));
    for (const value& from : stored_)
      if (dice_.often(60)) keep(tanh(gradient(loss, from)));
  }

  /// A value of given shape, made of what there is.
  value fitted(const vv::shape& dims) {
    for (int trial = 0; trial < 10; ++trial) {
      const value found = any();
      if (found.dims() == dims) return found;
      if (!found.dims().per_sample() && !dims.per_sample() && found.dims().size() == dims.size()) return vv::ops::reshape(found, dims);
    }
    return broadcast(mean(any()), dims);
  }

  void add_updates() {
    for (const value& target : stored_) {
      if (dice_.often(25)) continue;
      const vv::shape dims = target.dims();
      switch (dice_.below(5)) {
        case 0: graph_.update(target, fitted(dims)); break;
        case 1: graph_.update(target, target * 0.9 + fitted(dims) * 0.1); break;
        case 2: graph_.update(target, target - target * tanh(fitted(dims))); break;
        case 3: {  // another's old value, if one fits
          const value other = stored_[static_cast<std::size_t>(dice_.below(static_cast<int>(stored_.size())))];
          graph_.update(target, other.dims().size() == dims.size() ? vv::ops::reshape(other, dims) : fitted(dims));
          break;
        }
        default:  // in place, but not element by element
          if (dims.rank == 2 && dims[0] == dims[1])
            graph_.update(target, dice_.often(50) ? transpose(target) : matmul(target, softmax(target)));
          else if (dims.rank > 0)
            graph_.update(target, softmax(target));
      }
      if (dice_.often(30)) keep(tanh(target));  // the old value, read late
    }
  }

  dice dice_;
  bool with_products_, with_loops_;
  int depth_ = 0;  // of loops
  vv::builder graph_;
  std::vector<value> values_, stored_;
  value labels_, setting_;
};

/// What goes into a random graph: the same numbers and labels of a seed for all who run it.
template <class Real = double>
struct feed {
  std::vector<Real> settings{Real(0.75)};
  std::vector<std::vector<Real>> data;
  std::vector<std::int32_t> labels;
  std::vector<const void*> inputs;  ///< in the order of the graph's table

  feed(const vv::graph& from, std::int32_t batch, std::uint64_t seed) {
    const vv::random_stream random(seed, 2);
    std::uint64_t index = 0;
    data.reserve(static_cast<std::size_t>(from.inputs.size()));
    for (std::int32_t i = 0; i < batch; ++i)
      labels.push_back(static_cast<std::int32_t>(random.below(index++, random_graph::label_bound)));
    for (const vv::port& input : from.inputs) {
      const vv::node& found = from.nodes[input.node];
      std::vector<Real>& values = data.emplace_back();
      if (found.kind == vv::op::input)
        for (std::int64_t i = 0; i < found.dims.size_at(batch); ++i)
          values.push_back(static_cast<Real>(2 * random.uniform(index++) - 1));
      inputs.push_back(found.kind == vv::op::labels ? static_cast<const void*>(labels.data()) : values.data());
    }
  }
  /// To an instance of the graph.
  template <class Instance>
  void give_to(Instance& run) const {
    for (std::size_t i = 0; i < inputs.size(); ++i) run.set_input(static_cast<int>(i), inputs[i]);
    run.settings()[0] = settings[0];
  }
};

}  // namespace graph_test
