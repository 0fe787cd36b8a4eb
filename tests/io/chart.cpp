// Charts as files of their own.
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <vivace/io/chart.hpp>

namespace io = vivace::io;

TEST_CASE("charts: a file has a name space and a style, a page's chart has none") {
  const std::vector<io::chart_series> lines{{.name = "one", .points = {{0, 1}, {1, 2}}}};
  const std::string chart = io::line_chart({.x_name = "x", .y_name = "y"}, lines);
  CHECK(chart.find("xmlns") == std::string::npos);
  const std::string file = io::svg_file(chart);
  CHECK(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 460 300\""));
  CHECK(file.find(".line0 {") != std::string::npos);
  CHECK(file.ends_with("</svg>\n"));
  // The rest is the chart's.
  CHECK(file.size() > chart.size());
  CHECK(file.find(chart.substr(chart.find('>') + 1)) != std::string::npos);
  CHECK(io::svg_file("no picture") == "no picture");
}
