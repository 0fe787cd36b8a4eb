#pragma once
/// @file
/// A report of a training as one HTML page that needs nothing else: no scripts, no fonts, no pictures from outside.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/config.hpp>
#include <vivace/io/chart.hpp>
#include <vivace/io/file.hpp>

namespace vivace::inline VIVACE_TARGET::io {

/// A name and what belongs to it.
struct report_entry {
  std::string name, value;
};

/// What a report tells. Parts that are empty are left out.
struct training_report {
  std::string title;
  std::string remark;                       ///< a sentence below the title
  std::vector<report_entry> highlights;     ///< the few figures that matter most
  std::vector<double> epoch_losses;         ///< mean training loss of each epoch
  std::vector<chart_point> batch_losses;    ///< x in epochs: 1.5 is the middle of the second
  std::string held_out = "validation";      ///< name of the data that the next two are measured on
  std::vector<double> held_out_losses;      ///< after each epoch; NaN where there is none
  std::vector<double> held_out_accuracies;  ///< after each epoch, in [0, 1]; NaN where there is none
  std::vector<std::string> class_names;
  std::vector<std::int64_t> confusion;                 ///< [true class, predicted class], counts
  std::vector<std::vector<std::string>> architecture;  ///< cells, headings first, totals last
  std::vector<report_entry> settings;
};

namespace detail {

inline constexpr std::string_view report_style = R"(<style>
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5c6675; --rule: #dfe4ea; --page: #f5f7f9; --card: #fff;
  --first: #2563eb; --second: #e0782f; --third: #1a9c6b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --rule: #333c48; --page: #12161c;
  --card: #1b212a; --first: #6b9bff; --second: #f0975a; --third: #4cc596; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem 1rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 62rem; margin: auto; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 0 0 .7rem; font-size: 1rem; }
header p { margin: .3rem 0 0; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 1.1rem 1.3rem;
  margin-top: 1rem; overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; margin-top: 1rem; }
.pair section { margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; margin-top: 1.2rem; }
.figures div { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: .8rem 1rem; }
.figures b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); font-size: .85rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th { color: var(--soft); font-weight: 500; }
th, td { padding: .3rem .7rem .3rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
tr:last-child td { border-bottom: 0; }
.layers tr:last-child td { font-weight: 600; }
.settings td:first-child { color: var(--soft); width: 1%; padding-right: 2rem; }
.settings td:last-child { white-space: normal; }
svg { width: 100%; display: block; }
.map { margin: auto; }
svg text { fill: var(--soft); font-size: 12px; }
svg path { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.grid { stroke: var(--rule); stroke-width: 1 !important; }
.faint { stroke: var(--first); stroke-opacity: .28; stroke-width: 1 !important; }
.line0 { stroke: var(--first); } .line1 { stroke: var(--second); } .line2 { stroke: var(--third); }
.dot { stroke-width: 6 !important; }
rect { stroke: var(--rule); stroke-width: .5; }
.right { fill: #2563eb; } .wrong { fill: #d9480f; }
svg .count { font-size: 11px; text-anchor: middle; fill: var(--ink); pointer-events: none; }
svg .count.on { fill: #fff; }
@media print { body { background: none; padding: 0; } section { break-inside: avoid; } }
</style>
)";

inline std::string section(std::string_view heading, const std::string& content) {
  return "<section><h2>" + escaped(heading) + "</h2>\n" + content + "</section>\n";
}

inline std::string html_table(std::string_view kind, const std::vector<std::vector<std::string>>& cells,
                              bool headings) {
  std::string html = "<table class=\"" + std::string(kind) + "\">\n";
  for (std::size_t r = 0; r < cells.size(); ++r) {
    const std::string tag = headings && r == 0 ? "th" : "td";
    html += "<tr>";
    for (const std::string& one : cells[r]) html += '<' + tag + '>' + escaped(one) + "</" + tag + '>';
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

/// Values of the ends of epochs 1, 2, ... (`shift` 1), or of their middles (`shift` 0.5).
inline std::vector<chart_point> over_epochs(const std::vector<double>& values, double shift) {
  std::vector<chart_point> points;
  for (std::size_t i = 0; i < values.size(); ++i) points.push_back({static_cast<double>(i) + shift, values[i]});
  return points;
}

inline std::string curves(const training_report& from) {
  std::string html;
  if (!from.epoch_losses.empty() || !from.batch_losses.empty()) {
    const chart_series lines[] = {{"batches", from.batch_losses, 0, true},
                                  {"training, mean of each epoch", over_epochs(from.epoch_losses, 0.5), 0},
                                  {from.held_out, over_epochs(from.held_out_losses, 1), 1}};
    html += section("Loss", line_chart({"epoch", "loss"}, lines));
  }
  if (!from.held_out_accuracies.empty()) {
    const chart_series lines[] = {{from.held_out, over_epochs(from.held_out_accuracies, 1), 1}};
    html += section("Accuracy", line_chart({.x_name = "epoch", .y_name = "accuracy", .percent = true}, lines));
  }
  return html.empty() ? html : "<div class=\"pair\">\n" + html + "</div>\n";
}

}  // namespace detail

/// The page. Every text is escaped.
/// @throws error if the confusion matrix is not square
inline std::string to_html(const training_report& from) {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      escaped(from.title) + "</title>\n";
  html += detail::report_style;
  html += "</head><body><main>\n<header><h1>" + escaped(from.title) + "</h1>";
  if (!from.remark.empty()) html += "<p>" + escaped(from.remark) + "</p>";
  html += "</header>\n";
  if (!from.highlights.empty()) {
    html += "<div class=\"figures\">\n";
    for (const report_entry& one : from.highlights)
      html += "<div><b>" + escaped(one.value) + "</b><span>" + escaped(one.name) + "</span></div>\n";
    html += "</div>\n";
  }
  html += detail::curves(from);
  if (!from.confusion.empty())
    html += detail::section("Confusion: " + from.held_out, confusion_map(from.confusion, from.class_names));
  if (!from.architecture.empty())
    html += detail::section("Architecture", detail::html_table("layers", from.architecture, true));
  if (!from.settings.empty()) {
    std::vector<std::vector<std::string>> cells;
    for (const report_entry& one : from.settings) cells.push_back({one.name, one.value});
    html += detail::section("Settings", detail::html_table("settings", cells, false));
  }
  return html + "</main></body></html>\n";
}

/// Writes the page; the file is replaced as a whole.
/// @throws file_error if it cannot be written
inline void write_report(const std::string& path, const training_report& from) {
  const std::string html = to_html(from);
  atomic_file file(path);
  file.write(html.data(), html.size());
  file.commit();
}

}  // namespace vivace::inline VIVACE_TARGET::io
