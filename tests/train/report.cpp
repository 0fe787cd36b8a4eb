#include <vivace/io/report.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "../io/files.hpp"

namespace io = vivace::io;
using files::contains;

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

io::training_report sample_report() {
  io::training_report report;
  report.title = "a <b> & \"c\"";
  report.remark = "one 'remark'";
  report.highlights = {{"accuracy", "91.5 %"}};
  report.epoch_losses = {0.8, 0.5, 0.4};
  for (int i = 0; i < 3000; ++i) report.batch_losses.push_back({i / 1000.0, 2.3 / (1 + i / 300.0)});
  report.held_out = "test";
  report.held_out_losses = {0.6, missing, 0.45};
  report.held_out_accuracies = {0.8, 0.85, 0.88};
  report.class_names = {"cat", "<dog>"};
  report.confusion = {9, 1, 2, 8};
  report.architecture = {{"layer", "output"}, {"0.dense", "[batch, 10]"}, {"total", ""}};
  report.settings = {{"rate", "0.001"}};
  return report;
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("report: one page that asks for nothing from outside") {
  const std::string html = io::to_html(sample_report());
  CHECK(html.starts_with("<!DOCTYPE html>"));
  CHECK(html.ends_with("</html>\n"));
  for (const char* outside : {"http:", "https:", "<script", "@import", "url(", "src=", "href="})
    CHECK_FALSE(contains(html, outside));
  for (const char* tag : {"svg", "section", "table", "tr", "td", "text", "div", "h2"})
    CHECK(count(html, std::string("<") + tag + ' ') + count(html, std::string("<") + tag + '>') ==
          count(html, std::string("</") + tag + '>'));
  for (const char* wanted : {"Loss", "Accuracy", "Confusion: test", "Architecture", "Settings", "91.5 %", "0.001"})
    CHECK(contains(html, wanted));
}

TEST_CASE("report: text is escaped") {
  const std::string html = io::to_html(sample_report());
  CHECK(contains(html, "<h1>a &lt;b&gt; &amp; &quot;c&quot;</h1>"));
  CHECK(contains(html, "one &#39;remark&#39;"));
  CHECK(contains(html, "&lt;dog&gt;"));
  CHECK_FALSE(contains(html, "<dog>"));
  CHECK(io::escaped("tab\tand\nline") == "tab and line");
}

TEST_CASE("report: numbers that are not finite leave gaps, not text") {
  auto report = sample_report();
  report.epoch_losses = {missing, 1e308, -1e308, std::numeric_limits<double>::infinity()};
  report.batch_losses = {{0, missing}};
  report.held_out_accuracies = {missing};
  const std::string html = io::to_html(report);
  CHECK_FALSE(contains(html, "nan"));
  CHECK_FALSE(contains(html, "inf"));
  CHECK(html.size() < 100'000);
}

TEST_CASE("report: parts without numbers are left out") {
  io::training_report report;
  report.title = "empty";
  const std::string html = io::to_html(report);
  CHECK_FALSE(contains(html, "<svg"));
  CHECK_FALSE(contains(html, "<section"));
  report.epoch_losses = {0.5};
  CHECK(count(io::to_html(report), "<svg") == 1);
}

TEST_CASE("report: many batches are thinned") {
  const auto report = sample_report();
  const auto points = io::detail::thinned(report.batch_losses, 800);
  REQUIRE(points.size() == 800);
  CHECK(points.front().x < points.back().x);
  CHECK(points.back().x <= report.batch_losses.back().x);
}

TEST_CASE("report: marks are round numbers around the range") {
  const auto scale = io::detail::scale_over(0.13, 0.87, 5);
  CHECK(scale.step == doctest::Approx(0.2));
  CHECK(scale.low == doctest::Approx(0.0));
  CHECK(scale.high == doctest::Approx(1.0));
  CHECK(scale.decimals() == 1);
  const auto flat = io::detail::scale_over(3, 3, 5);
  CHECK(flat.high > flat.low);
}

TEST_CASE("report: the confusion map shows counts, shares and names") {
  const std::vector<std::string> names = {"cat", "dog"};
  const std::vector<std::int64_t> counts = {9, 1, 0, 0};
  const std::string svg = io::confusion_map(counts, names);
  CHECK(contains(svg, "cat taken for dog: 1 (10 %)"));
  CHECK(contains(svg, "dog taken for dog: 0 (0 %)"));  // a class without samples
  CHECK(count(svg, "<rect") == 4);
  CHECK(contains(io::confusion_map(counts, {}), ">1</text>"));  // numbers stand in for names
  const auto message = files::message_of<vivace::error>([] {
    const std::vector<std::int64_t> three = {1, 2, 3};
    (void)io::confusion_map(three, {});
  });
  CHECK(contains(message, "not square"));
}

TEST_CASE("report: decimals") {
  CHECK(io::decimal(1.5, 3) == "1.5");
  CHECK(io::decimal(2, 3) == "2");
  CHECK(io::decimal(100, 0) == "100");
  CHECK(io::decimal(-0.0001, 2) == "0");
  CHECK(io::decimal(missing, 2) == "-");
}

TEST_CASE("report: a file, replaced as a whole") {
  const files::temporary_folder folder;
  const std::string path = folder / "report.html";
  io::write_report(path, sample_report());
  CHECK(files::read(path) == io::to_html(sample_report()));
  const auto message =
      files::message_of<vivace::file_error>([&] { io::write_report(folder / "no/such/folder.html", {}); });
  CHECK(contains(message, "no/such/folder.html"));
}
