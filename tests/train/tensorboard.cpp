// The event file of a training, parsed back by code of its own and checked byte by byte.
// tests/python/tensorboard_check.py runs the case "tensorboard: curves" and reads the file with TensorBoard.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <vivace/train/tensorboard.hpp>
#include <vivace/train/trainer.hpp>

#include "../io/files.hpp"
#include "networks.hpp"

namespace vv = vivace;
namespace io = vivace::io;

static_assert(io::crc32c("123456789") == 0xE3069283);  // the check value of every catalogue of such codes
static_assert(io::crc32c("") == 0);

namespace {

template <class Number>
Number take(std::string_view& from) {
  Number number{};
  REQUIRE(from.size() >= sizeof number);
  std::memcpy(&number, from.data(), sizeof number);
  from.remove_prefix(sizeof number);
  return number;
}

std::uint64_t take_varint(std::string_view& from) {
  std::uint64_t number = 0;
  for (int shift = 0;; shift += 7) {
    const auto part = take<std::uint8_t>(from);
    number |= std::uint64_t{part & 0x7FU} << shift;
    if (part < 0x80) return number;
  }
}

struct event {
  double time = 0;
  std::int64_t step = 0;
  std::string version, tag;
  float value = 0;
};

/// Fields of a message, of whichever of the three levels.
void parse(std::string_view from, event& to, int level) {
  while (!from.empty()) {
    const std::uint64_t key = take_varint(from);
    const int field = static_cast<int>(key >> 3), type = static_cast<int>(key & 7);
    if (type == 0) {
      REQUIRE((level == 0 && field == 2));
      to.step = static_cast<std::int64_t>(take_varint(from));
    } else if (type == 1) {
      REQUIRE((level == 0 && field == 1));
      to.time = take<double>(from);
    } else if (type == 5) {
      REQUIRE((level == 2 && field == 2));
      to.value = take<float>(from);
    } else {
      REQUIRE(type == 2);
      const std::uint64_t length = take_varint(from);
      REQUIRE(length <= from.size());
      const std::string_view inner = from.substr(0, length);
      from.remove_prefix(length);
      if (level == 0 && field == 3)
        to.version = inner;
      else if (level == 2 && field == 1)
        to.tag = inner;
      else
        parse(inner, to, level + 1);
    }
  }
}

std::vector<event> events_in(const std::string& path) {
  const std::string bytes = files::read(path);
  std::vector<event> found;
  for (std::string_view rest = bytes; !rest.empty();) {
    const std::string_view head = rest.substr(0, 8);
    const auto length = take<std::uint64_t>(rest);
    CHECK(take<std::uint32_t>(rest) == io::masked_crc32c(head));
    REQUIRE(length <= rest.size());
    const std::string_view data = rest.substr(0, length);
    rest.remove_prefix(length);
    CHECK(take<std::uint32_t>(rest) == io::masked_crc32c(data));
    parse(data, found.emplace_back(), 0);
  }
  return found;
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& one : std::filesystem::directory_iterator(folder)) paths.push_back(one.path().string());
  return paths;
}

}  // namespace

TEST_CASE("tensorboard: curves") {
  const char* const given = std::getenv("VIVACE_EXCHANGE_FOLDER");
  const files::temporary_folder own;
  const std::string folder = (given != nullptr ? std::string(given) : own.path()) + "/runs/first";
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{7}};
  const auto set = networks::labelled(40);
  const vv::trace trace =
      trainer.fit(set, vv::epochs{3}, vv::validation{networks::labelled(10)}, vv::write_tensorboard{folder});

  const auto paths = files_in(folder);
  REQUIRE(paths.size() == 1);
  CHECK(files::contains(paths[0], "/events.out.tfevents."));
  const std::vector<event> events = events_in(paths[0]);
  REQUIRE(events.size() == 1 + 3 * 3);
  CHECK(events[0].version == "brain.Event:2");
  for (std::size_t e = 0; e < 3; ++e) {
    const event* three = events.data() + 1 + 3 * e;
    const vv::epoch_record& record = trace.epochs[e];
    const double values[] = {record.train_loss, record.val_loss, record.val_accuracy};
    const char* const tags[] = {"loss/train", "loss/validation", "accuracy/validation"};
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(three[i].tag == tags[i]);
      CHECK(three[i].value == static_cast<float>(values[i]));
      CHECK(three[i].step == static_cast<std::int64_t>(e) + 1);
      CHECK(three[i].time > 1.7e9);
    }
  }
}

TEST_CASE("tensorboard: without validation only the training loss; a second training makes a second file") {
  const files::temporary_folder folder;
  vv::trainer trainer{networks::mlp{}, vv::batch<16>, vv::seed{7}};
  const auto set = networks::labelled(20);
  vv::write_tensorboard curves{folder.path()};
  trainer.fit(set, vv::epochs{1}, curves);
  REQUIRE(files_in(folder.path()).size() == 1);
  CHECK(events_in(files_in(folder.path())[0]).size() == 2);
  trainer.fit(set, vv::epochs{2}, curves);
  CHECK(files_in(folder.path()).size() == 2);
}

TEST_CASE("tensorboard: a folder that cannot be made is said") {
  const files::temporary_folder folder;
  files::write(folder / "file", "x");
  const std::string text = files::message_of<vv::file_error>([&] { io::event_writer{folder / "file/runs"}; });
  CHECK(files::contains(text, "cannot write the event file"));
  CHECK(files::contains(text, "file/runs"));
  CHECK(files::contains(files::message_of<vv::file_error>([&] { io::event_writer{folder / "file"}; }),
                        "Not a directory"));
}
