#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vivace/io/csv.hpp>

#include "files.hpp"

namespace io = vivace::io;
using files::contains;

namespace {

using texts = std::vector<std::string>;
using numbers = std::vector<double>;

io::csv_table parse(const std::string& text) { return {text, "a.csv"}; }

std::string refusal(const std::string& text) {
  return files::message_of<vivace::file_error>([&] { parse(text); });
}

}  // namespace

TEST_CASE("csv: names, numbers and text") {
  const io::csv_table table = parse("epoch,loss,note\n0, 2.5 ,a\n1,-1e-3,\n2,nan,\"x, \"\"y\"\"\nz\"\n");
  CHECK(table.rows() == 3);
  CHECK(table.names().size() == 3);
  CHECK(table.has("loss"));
  CHECK_FALSE(table.has("los"));
  CHECK(table.numbers("epoch") == numbers{0, 1, 2});
  CHECK(table.numbers("loss")[0] == 2.5);
  CHECK(table.numbers("loss")[1] == -1e-3);
  CHECK(std::isnan(table.numbers("loss")[2]));
  CHECK(table.text("note") == texts{"a", "", "x, \"y\"\nz"});
}

TEST_CASE("csv: line ends, byte order mark, quoted names, one column") {
  CHECK(parse("\xEF\xBB\xBF"
              "a,b\r\n1,2\r\n3,\"4\"\r\n")
            .numbers("b") == numbers{2, 4});
  CHECK(parse("a,b\n1,2").numbers("b") == numbers{2});
  CHECK(parse("\"a,b\"\n1\n").numbers("a,b") == numbers{1});
  CHECK(parse("a\n\"\"\n").text("a") == texts{""});
  CHECK(parse("a,b\n").rows() == 0);
  CHECK(parse("a,b\n,\n").text("b") == texts{""});
}

TEST_CASE("csv: every refusal says what, where and what to do") {
  using namespace std::string_literals;
  CHECK(contains(refusal(""), "where: a.csv, line 1\n  got:   an empty file\n  needs: a line with the names"));
  CHECK(contains(refusal("a,b\n1,2\n3\n"), "where: a.csv, line 3\n  got:   1 fields\n  needs: 2 fields, one a column"));
  CHECK(contains(refusal("a,b\n\"1\n\",2\n3\n"), "where: a.csv, line 4"));
  CHECK(contains(refusal("a,b\n1,2,\n"), "got:   3 fields"));
  CHECK(contains(refusal("a,b\n\n1,2\n"), "where: a.csv, line 2\n  got:   a blank line"));
  CHECK(contains(refusal("a,,b\n"), "got:   no name for column 2"));
  CHECK(contains(refusal("a,b,a\n"), "got:   the name a twice"));
  CHECK(contains(refusal("a\n\"b\n"), "where: a.csv, line 2\n  got:   a quote that is never closed"));
  CHECK(contains(refusal("a\n\"b\"c\n"), "got:   text beside a quoted field"));
  CHECK(contains(refusal("a\nb\"c\"\n"), "needs: quotes around the whole field, quotes inside it doubled"));
  CHECK(contains(refusal("a\nb\0\n"s), "got:   a zero byte\n  needs: a text file"));
  const auto number = [](const std::string& field) {
    return files::message_of<vivace::file_error>([&] { (void)parse("x,a\n1,1\n2," + field + "\n").numbers("a"); });
  };
  CHECK(contains(number("1;2"), "a field is not a number\n  where: a.csv, line 3, column a\n  got:   \"1;2\""));
  CHECK(contains(number(""), "got:   an empty field\n  needs: a decimal number in the range of double"));
  for (const char* field : {"1e999", "0x10", "1.5.2", "+-1", "--1", "1 2", "one", "1,5"}) CHECK(number(field) != "");
  const auto column = files::message_of<vivace::file_error>([] { (void)parse("a,b\n").text("c"); });
  CHECK(contains(column, "got:   a, b\n  needs: a column named c"));
  CHECK(contains(files::message_of<vivace::file_error>([] { io::csv_table::read("/nowhere.csv"); }), "cannot open"));
}

TEST_CASE("csv: what is written is read, to the bit") {
  const files::temporary_folder folder;
  const std::string path = folder / "a.csv";
  const double values[] = {0.1, 1.0 / 3, -0.0, 5e-324, 1.7976931348623157e308, std::numeric_limits<double>::infinity()};
  {
    io::csv_writer writer(path, {"step", "loss, mean", "note"});
    for (int i = 0; i < 6; ++i) writer.row({i, values[i], i % 2 == 0 ? "plain" : "two\n\"lines\""});
    CHECK(contains(files::read(path), "step,\"loss, mean\",note\n0,0.1,plain\n"));
    CHECK(contains(files::message_of<vivace::error>([&] {
                     writer.row({1, 2});
                   }),
                   "got:   2 fields\n  needs: 3 fields, one a column"));
  }
  const io::csv_table table = io::csv_table::read(path);
  CHECK(table.rows() == 6);
  for (std::size_t i = 0; i < 6; ++i) CHECK(table.numbers("loss, mean")[i] == values[i]);
  CHECK(table.text("note")[1] == "two\n\"lines\"");
  io::csv_writer floats(path, {"x"});
  floats.row({0.1F});
  floats.row({""});
  CHECK(files::read(path) == "x\n0.1\n\"\"\n");
}

TEST_CASE("csv: a full disk and a missing folder are reported") {
  CHECK(contains(files::message_of<vivace::file_error>([] { io::csv_writer("/nowhere/a.csv", {"a"}); }),
                 "cannot write the table\n  where: /nowhere/a.csv\n  got:   No such file or directory"));
  CHECK(contains(files::message_of<vivace::file_error>([] { io::csv_writer("/dev/full", {"a"}); }),
                 "got:   No space left on device"));
}

TEST_CASE("csv: no cut and no changed byte crashes the reader") {
  const auto read = [](const std::string& text) { (void)parse(text).numbers("a"); };
  CHECK_NOTHROW(files::torture<vivace::file_error>("a,b\r\n1,\"x\"\"y\"\n-2e5,z\n", read, false));
}
