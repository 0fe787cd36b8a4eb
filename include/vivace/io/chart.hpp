#pragma once
/// @file
/// Pictures of numbers as SVG text: line charts and heat maps. Colours come from the page's style sheet (see
/// report.hpp), so that a picture follows its light or dark theme.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// Text as HTML and XML show it: markup and quotes become entities, control characters blanks.
inline std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    switch (letter) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      case '\'': result += "&#39;"; break;
      default: result += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
    }
  }
  return result;
}

/// A number with at most `digits` decimals, in every locale with a point; "-" if it is not finite.
inline std::string decimal(double number, int digits) {
  if (!std::isfinite(number)) return "-";
  char text[400];
  const auto end = std::to_chars(text, text + sizeof text, number, std::chars_format::fixed, digits).ptr;
  std::string result(text, end);
  if (result.find('.') != std::string::npos) {
    result.erase(result.find_last_not_of('0') + 1);
    if (result.back() == '.') result.pop_back();
  }
  return result == "-0" ? "0" : result;
}

/// A place in a chart.
struct chart_point {
  double x = 0, y = 0;
};

/// One line of a chart. Points that are not finite are left out.
struct chart_series {
  std::string name;
  std::vector<chart_point> points;
  int colour = 0;      ///< which of the page's colours: 0, 1 or 2
  bool faint = false;  ///< in the background: thin and not marked
};

/// What surrounds the lines of a chart.
struct chart_frame {
  std::string x_name, y_name;
  bool percent = false;  ///< y is a share, shown in percent
};

namespace detail {

inline bool drawn(const chart_point& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

/// A range of numbers and the distance of its marks: 1, 2 or 5 times a power of ten.
struct scale {
  double low = 0, high = 1, step = 0.2;
  [[nodiscard]] double share(double value) const { return (std::clamp)((value - low) / (high - low), 0.0, 1.0); }
  [[nodiscard]] int decimals() const {
    return (std::max)(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  }
};

inline scale scale_over(double low, double high, int marks) {
  if (!(high > low)) high = low + (std::abs(low) > 0 ? std::abs(low) : 1);
  const double rough = (high - low) / marks;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double factor = rough / power;
  const double step = power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
  return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
}

/// Averages neighbours until at most `most` points are left.
inline std::vector<chart_point> thinned(const std::vector<chart_point>& points, std::size_t most) {
  if (points.size() <= most) return points;
  std::vector<chart_point> result;
  for (std::size_t i = 0; i < most; ++i) {
    const std::size_t begin = i * points.size() / most, end = (i + 1) * points.size() / most;
    chart_point sum;
    for (std::size_t j = begin; j < end; ++j) {
      sum.x += points[j].x;
      sum.y += points[j].y;
    }
    const auto count = static_cast<double>(end - begin);
    result.push_back({sum.x / count, sum.y / count});
  }
  return result;
}

/// The vertical range: of the bold lines and all but the highest fiftieth of the faint ones, so that the first batches
/// of a training do not flatten the rest.
inline scale vertical_scale(std::span<const chart_series> lines) {
  std::vector<double> bold, faint;
  for (const chart_series& one : lines)
    for (const chart_point& point : one.points)
      if (drawn(point)) (one.faint ? faint : bold).push_back(point.y);
  std::sort(faint.begin(), faint.end());
  const std::size_t kept = faint.size() - faint.size() / 50;
  bold.insert(bold.end(), faint.begin(), faint.begin() + static_cast<std::ptrdiff_t>(kept));
  if (bold.empty()) return {};
  const auto [low, high] = std::minmax_element(bold.begin(), bold.end());
  // From zero, unless that would waste most of the picture.
  return scale_over(*low >= 0 && *low < 0.6 * *high ? 0 : *low, *high, 5);
}

inline scale horizontal_scale(std::span<const chart_series> lines) {
  double high = 0;
  for (const chart_series& one : lines)
    for (const chart_point& point : one.points)
      if (drawn(point)) high = (std::max)(high, point.x);
  scale result = scale_over(0, high, 8);
  result.high = high > 0 ? high : 1;
  return result;
}

}  // namespace detail

/// Lines over a common x axis that starts at 0, with marks, names and a legend.
inline std::string line_chart(const chart_frame& frame, std::span<const chart_series> lines) {
  constexpr double left = 58, right = 14, top = 34, bottom = 44, width = 460, height = 300;
  constexpr int most_marks = 20;  // more can only come from numbers at the end of their range
  const detail::scale across = detail::horizontal_scale(lines), up = detail::vertical_scale(lines);
  const auto x = [&](double value) { return left + across.share(value) * (width - left - right); };
  const auto y = [&](double value) { return height - bottom - up.share(value) * (height - top - bottom); };
  const auto text = [](double at_x, double at_y, std::string_view anchor, std::string_view words) {
    return "<text x=\"" + decimal(at_x, 1) + "\" y=\"" + decimal(at_y, 1) + "\" text-anchor=\"" + std::string(anchor) +
           "\">" + escaped(words) + "</text>\n";
  };
  std::string svg = "<svg class=\"chart\" viewBox=\"0 0 460 300\" role=\"img\" aria-label=\"" + escaped(frame.y_name) +
                    " over " + escaped(frame.x_name) + "\">\n";
  for (int i = 0; i <= most_marks && up.low + i * up.step <= up.high + up.step / 2; ++i) {
    const double mark = up.low + i * up.step;
    svg += "<path class=\"grid\" d=\"M" + decimal(left, 1) + ' ' + decimal(y(mark), 1) + 'H' +
           decimal(width - right, 1) + "\"/>\n";
    const std::string words = frame.percent ? decimal(100 * mark, (std::max)(0, up.decimals() - 2)) + " %"
                                            : decimal(mark, up.decimals());
    svg += text(left - 8, y(mark) + 4, "end", words);
  }
  for (int i = 0; i <= most_marks && i * across.step <= across.high + across.step * 1e-6; ++i)
    svg += text(x(i * across.step), height - bottom + 18, "middle", decimal(i * across.step, across.decimals()));
  svg += text((left + width - right) / 2, height - 8, "middle", frame.x_name);
  double legend = left;
  for (const chart_series& one : lines) {
    const std::string kind = one.faint ? "faint" : "line" + std::to_string(one.colour % 3);
    std::string path, dots;
    for (const chart_point& point : detail::thinned(one.points, 800)) {
      if (!detail::drawn(point)) continue;
      const std::string at = decimal(x(point.x), 1) + ' ' + decimal(y(point.y), 1);
      path += (path.empty() ? 'M' : 'L') + at;
      if (!one.faint && one.points.size() <= 60)
        dots += "<path class=\"dot " + kind + "\" d=\"M" + at + "h0\"/>";
    }
    if (path.empty()) continue;
    svg += "<path class=\"" + kind + "\" d=\"" + path + "\"/>" + dots + '\n';
    svg += "<path class=\"key " + kind + "\" d=\"M" + decimal(legend, 1) + " 14h16\"/>";
    svg += text(legend + 21, 18, "start", one.name);
    legend += 40 + 6.4 * static_cast<double>(one.name.size());
  }
  return svg + "</svg>\n";
}

/// A chart as a file of its own: with the style that it takes from a page otherwise.
inline std::string svg_file(std::string_view chart) {
  constexpr std::string_view style =
      "<style>svg { background: #fff; font: 12px system-ui, sans-serif; --soft: #5c6675; --rule: #dfe4ea; --first: "
      "#2563eb; --second: #e0782f; --third: #1a9c6b; } text { fill: var(--soft); } path { fill: none; stroke-width: 2; "
      "stroke-linejoin: round; stroke-linecap: round; } .grid { stroke: var(--rule); stroke-width: 1; } .faint { "
      "stroke: var(--soft); stroke-opacity: .6; stroke-width: 1; } .line0 { stroke: var(--first); } .line1 { stroke: "
      "var(--second); } .line2 { stroke: var(--third); } .dot { stroke-width: 5; }</style>";
  const std::size_t end = chart.find('>');
  if (!chart.starts_with("<svg ") || end == std::string_view::npos) return std::string(chart);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" " + std::string(chart.substr(5, end - 4)) + std::string(style) +
         std::string(chart.substr(end + 1));
}

/// A confusion matrix: a row for each true class, a column for each predicted one, the count in each cell. The colour
/// tells the share of the row: what is right in one colour, what is wrong in another.
/// @param counts [true class, predicted class]
/// @param names  of the classes; numbers stand in for missing ones
/// @throws error if the counts are no square
inline std::string confusion_map(std::span<const std::int64_t> counts, std::span<const std::string> names) {
  const auto classes = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(counts.size()))));
  if (classes * classes != counts.size())
    throw error("a confusion matrix is not square", "report", std::to_string(counts.size()) + " counts",
                "classes * classes counts");
  const auto name = [&](std::size_t i) { return i < names.size() ? names[i] : std::to_string(i); };
  std::size_t longest = 0;
  for (std::size_t i = 0; i < classes; ++i) longest = (std::max)(longest, name(i).size());
  const double cell = classes <= 12 ? 46 : classes <= 25 ? 30 : 12;
  const double margin = 34 + 6.6 * static_cast<double>(longest), edge = cell * static_cast<double>(classes);
  const std::string side = decimal(margin + edge + 8, 0);
  std::string svg = "<svg class=\"map\" viewBox=\"0 0 " + side + ' ' + side + "\" style=\"max-width:" + side +
                    "px\" role=\"img\" aria-label=\"confusion matrix\">\n";
  for (std::size_t r = 0; r < classes; ++r) {
    const double at = margin + cell * static_cast<double>(r) + cell / 2;
    std::int64_t total = 0;
    for (std::size_t c = 0; c < classes; ++c) total += counts[r * classes + c];
    svg += "<text x=\"" + decimal(margin - 8, 1) + "\" y=\"" + decimal(at + 4, 1) + "\" text-anchor=\"end\">" +
           escaped(name(r)) + "</text><text transform=\"translate(" + decimal(at + 4, 1) + ' ' +
           decimal(margin - 8, 1) + ") rotate(-90)\">" + escaped(name(r)) + "</text>\n";
    for (std::size_t c = 0; c < classes; ++c) {
      const std::int64_t count = counts[r * classes + c];
      const double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0;
      const double depth = r == c ? share : std::sqrt(share);  // mistakes are few: show them
      const double x = margin + cell * static_cast<double>(c), y = margin + cell * static_cast<double>(r);
      svg += "<rect class=\"" + std::string(r == c ? "right" : "wrong") + "\" x=\"" + decimal(x, 1) + "\" y=\"" +
             decimal(y, 1) + "\" width=\"" + decimal(cell - 2, 1) + "\" height=\"" + decimal(cell - 2, 1) +
             "\" fill-opacity=\"" + decimal(depth, 3) + "\"><title>" + escaped(name(r)) + " taken for " +
             escaped(name(c)) + ": " + std::to_string(count) + " (" + decimal(100 * share, 1) + " %)</title></rect>";
      if (classes <= 25 && count > 0)
        svg += "<text class=\"count" + std::string(depth > 0.55 ? " on" : "") + "\" x=\"" +
               decimal(x + cell / 2 - 1, 1) + "\" y=\"" + decimal(y + cell / 2 + 3, 1) + "\">" +
               std::to_string(count) + "</text>";
    }
    svg += '\n';
  }
  svg += "<text x=\"" + decimal(margin + edge / 2, 1) + "\" y=\"12\" text-anchor=\"middle\">predicted</text>";
  svg += "<text transform=\"translate(12 " + decimal(margin + edge / 2, 1) +
         ") rotate(-90)\" text-anchor=\"middle\">true</text>\n";
  return svg + "</svg>\n";
}

}  // namespace vivace::inline VIVACE_TARGET::io
