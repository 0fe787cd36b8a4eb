#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include <vivace/graph/cost.hpp>
#include <vivace/graph/explain.hpp>
#include <vivace/train/trainer.hpp>

/// @file
/// The architecture's table: a constant of facts that the compiler knows, and its text.

namespace vivace::inline VIVACE_TARGET {

/// Floating-point operations of a network's forward pass for one sample, its loss included.
template <network_tag Net>
inline constexpr std::int64_t flops = total_cost(model_graph(Net::graph, false)).flops;

/// One line of the architecture's table.
struct layer_summary {
  identifier name;              ///< "2.conv2d"
  shape output;                 ///< with the batch marked
  std::int64_t parameters = 0;  ///< trained numbers
  cost work;                    ///< of the forward pass, for one sample
};

/// What is true of a network as a whole.
struct network_totals {
  std::int64_t parameters = 0;
  cost work;                     ///< of the forward pass, for one sample
  int batch = 0;                 ///< largest batch of a step
  std::int64_t arena_bytes = 0;  ///< of a training step at that batch; see arena_bytes
};

/// The architecture's table: one line a layer; the last one is what stands in no layer, such as the loss.
template <int Lines>
struct network_summary {
  layer_summary lines[Lines]{};
  network_totals totals;
};

/// The table of a network trained under the given policies, a constant.
/// @code
/// static_assert(vv::summary<lenet>().totals.parameters == 215'370);
/// std::fputs(vv::to_string(vv::summary<lenet, vv::batch<128>, vv::adamw{}>()).c_str(), stdout);
/// @endcode
template <network_tag Net, auto... Policies>
consteval auto summary() {
  using chosen = selection<Net, std::remove_cvref_t<decltype(Policies)>...>;
  constexpr int layers = model_graph(Net::graph, false).layers.size();
  network_summary<layers + 1> result;
  const graph model = model_graph(Net::graph, false);
  const sequence<cost> costs = layer_costs(model, static_cast<int>(sizeof(typename chosen::real)));
  for (int i = 0; i <= layers; ++i) {
    result.lines[i].name = i < layers ? model.layers[i].name : identifier("loss");
    const std::int32_t output = i < layers ? model.layers[i].output : model.loss;
    if (output >= 0) result.lines[i].output = model.nodes[output].dims;
    result.lines[i].work = costs[i];
    result.totals.work += costs[i];
  }
  const graph training = model_graph(Net::graph, true);
  for (const variable& one : training.parameters) {
    const node& stored = training.nodes[one.node];
    result.lines[stored.layer < 0 ? layers : stored.layer].parameters += stored.dims.size();
    result.totals.parameters += stored.dims.size();
  }
  result.totals.batch = chosen::batch_policy::value;
  result.totals.arena_bytes = vivace::arena_bytes<Net, Policies...>;
  return result;
}

/// A whole number with a blank between groups of three digits: 215370 gives "215 370".
inline std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3 + (number < 0 ? 1u : 0u);) text.insert(at -= 3, 1, ' ');
  return text;
}

/// The cells of the table, headings first: layer, output, parameters, FLOPs, bytes.
template <int Lines>
std::vector<std::vector<std::string>> table_of(const network_summary<Lines>& from) {
  std::vector<std::vector<std::string>> cells{{"layer", "output", "parameters", "FLOPs", "bytes"}};
  const auto add = [&](std::string name, std::string output, std::int64_t parameter_count, const cost& work) {
    cells.push_back(
        {std::move(name), std::move(output), grouped(parameter_count), grouped(work.flops), grouped(work.bytes)});
  };
  for (const layer_summary& one : from.lines)
    add(std::string(one.name.view()), to_string(one.output), one.parameters, one.work);
  add("total", "", from.totals.parameters, from.totals.work);
  return cells;
}

/// Cells as lines of text in aligned columns: the first two to the left, numbers to the right; a rule below the
/// headings and above the last line.
inline std::string aligned_table(const std::vector<std::vector<std::string>>& cells) {
  std::vector<std::size_t> width;
  for (const auto& line : cells) {
    if (line.size() > width.size()) width.resize(line.size(), 0);
    for (std::size_t c = 0; c < line.size(); ++c) width[c] = (std::max)(width[c], line[c].size());
  }
  std::size_t across = 0;
  for (const std::size_t one : width) across += one + 2;
  const std::string rule(across > 2 ? across - 2 : 0, '-');
  std::string text;
  for (std::size_t r = 0; r < cells.size(); ++r) {
    if (r == 1 || r + 1 == cells.size()) text += rule + '\n';
    std::string line;
    for (std::size_t c = 0; c < cells[r].size(); ++c) {
      const std::string gap(width[c] - cells[r][c].size(), ' ');
      line += c < 2 ? cells[r][c] + gap : gap + cells[r][c];
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

/// The table as text.
template <int Lines>
std::string to_string(const network_summary<Lines>& from) {
  const std::int64_t tenths = (from.totals.arena_bytes * 10 + MiB / 2) / MiB;
  return aligned_table(table_of(from)) + "FLOPs and bytes: forward, one sample. A training step of " +
         std::to_string(from.totals.batch) + " samples needs " + std::to_string(tenths / 10) + '.' +
         std::to_string(tenths % 10) + " MiB.\n";
}

}  // namespace vivace::inline VIVACE_TARGET
