#include <doctest/doctest.h>

#include <sys/resource.h>
#include <csignal>
#include <vector>
#include <vivace/io/safetensors.hpp>

#include "files.hpp"

namespace io = vivace::io;
using files::contains;

namespace {

std::string packed(const std::string& header, const std::string& elements) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(header.size() >> shift);
  return bytes + header + elements;
}

io::safetensors_header parse(const std::string& bytes) {
  return io::parse_safetensors(std::as_bytes(std::span(bytes)), "a.safetensors");
}

std::string refusal(const std::string& header, const std::string& elements = "") {
  return files::message_of<vivace::file_error>([&] { parse(packed(header, elements)); });
}

const std::string one = R"({"a":{"dtype":"F32","shape":[1,3],"data_offsets":[0,12]}})";

const std::vector<float> weights = {1, 2, 3, 4, 5, 6};
const std::vector<double> scalar = {0.1};
const std::vector<std::int32_t> counts = {-1, 7, 9};
const std::vector<std::int64_t> steps = {std::int64_t{1} << 60};
const std::vector<std::uint8_t> mask = {1, 0, 255};

}  // namespace

TEST_CASE("safetensors: what is written is read") {
  const files::temporary_folder folder;
  const std::string path = folder / "a.safetensors";
  const std::vector<io::tensor_view> tensors = {{"mask", mask, {3}},         {"layer 0 \"w\"", weights, {2, 1, 3}},
                                                {"\xC3\xA9\n", counts, {3}}, {"scalar", scalar, {}},
                                                {"steps", steps, {1}},       {"empty", std::vector<float>{}, {0, 4}}};
  io::write_safetensors(path, tensors, {{"epoch", "3"}, {"note", "a\\b\t\"c\""}});
  const io::safetensors_file file(path);
  CHECK(file.tensors().size() == 6);
  CHECK(file.tensors()[0].name == "scalar");
  CHECK(file.tensors()[5].name == "mask");
  CHECK(*file.text("note") == "a\\b\t\"c\"");
  CHECK(file.metadata().size() == 2);
  CHECK(file.text("none") == nullptr);
  CHECK(file.has("steps"));
  CHECK_FALSE(file.has("step"));
  CHECK(file.info("layer 0 \"w\"").dimensions == io::extents{2, 1, 3});
  CHECK(file.values<float>("layer 0 \"w\"", {2, 1, 3})[5] == 6.0F);
  CHECK(file.values<double>("scalar", {})[0] == 0.1);
  CHECK(file.values<std::int32_t>("\xC3\xA9\n", {3})[0] == -1);
  CHECK(file.values<std::int64_t>("steps", {1})[0] == std::int64_t{1} << 60);
  CHECK(file.values<std::uint8_t>("mask", {3})[2] == 255);
  CHECK(file.values<float>("empty", {0, 4}).empty());
  CHECK(file.bytes("mask").size() == 3);
  CHECK(file.tensors()[0].offset % 64 == 0);
  std::vector<std::int32_t> copied(3);
  file.copy("\xC3\xA9\n", {3}, copied.data());
  CHECK(copied == counts);

  io::write_safetensors(path, {});
  CHECK(io::safetensors_file(path).tensors().empty());
}

TEST_CASE("safetensors: other files that are valid") {
  const auto header = parse(packed(R"({"b":{"shape":[],"data_offsets":[2,4],"dtype":"BF16"} ,"__metadata__":{},
    "a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}  )",
                                   "abcd"));
  CHECK(header.tensors[0].name == "a");
  CHECK(header.tensors[1].type == io::element::bf16);
  CHECK(parse(packed(R"({"__metadata__":{"\u00e9\ud83d\ude00\/":"\u0041"}})", "")).text[0] ==
        std::pair<std::string, std::string>{"\xC3\xA9\xF0\x9F\x98\x80/", "A"});
  CHECK(parse(packed("{}", "")).tensors.empty());

  const files::temporary_folder folder;  // elements at an odd address
  files::write(folder / "odd", packed(one + std::string(one.size() % 2 == 0 ? " " : ""), std::string(12, '\0')));
  const io::safetensors_file odd(folder / "odd");
  const auto text = files::message_of<vivace::file_error>([&] { (void)odd.values<float>("a", {1, 3}); });
  CHECK(contains(text, "the elements are not aligned"));
  CHECK(contains(text, "needs: to be copied: call copy()"));
  float copied[3] = {1, 2, 3};
  odd.copy("a", {1, 3}, copied);
  CHECK(copied[2] == 0.0F);
}

TEST_CASE("safetensors: every refusal says what, where and what to do") {
  const auto raw = [](const std::string& bytes) {
    return files::message_of<vivace::file_error>([&] { parse(bytes); });
  };
  CHECK(contains(raw("abc"), "this is not a safetensors file\n  where: a.safetensors\n  got:   3 bytes"));
  CHECK(contains(raw("\x89PNG\r\n\x1A\n more"), "needs: a header of 2 to 100000000 bytes"));
  CHECK(contains(raw(packed(one, "").substr(0, 20)), "the safetensors file is cut short"));
  CHECK(contains(refusal("[1, 2]"), "a header that begins with another character"));
  CHECK(contains(refusal(one, "abcd"), "got:   4 bytes of elements\n  needs: 12 bytes: write it again"));
  CHECK(contains(refusal(one, std::string(13, 'a')), "the safetensors file is too long"));
  const auto tensor = [](const std::string& inside) { return refusal("{\"a\":{" + inside + "}}", "abcd"); };
  CHECK(contains(tensor(R"("dtype":"F8","shape":[4],"data_offsets":[0,4])"), "is known, not 'F8' (tensor a)"));
  CHECK(contains(tensor(R"("dtype":"U8","shape":[5],"data_offsets":[0,4])"),
                 "needs: offsets that fit [5] of uint8, not 0 to 4 (tensor a)"));
  CHECK(contains(tensor(R"("dtype":"U8","shape":[4],"data_offsets":[4,0])"), "not 4 to 0"));
  CHECK(contains(tensor(R"("dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0])"), "offsets that fit"));
  CHECK(contains(tensor(R"("dtype":"U8","shape":[-4],"data_offsets":[0,4])"), "a whole number of 0 or more"));
  CHECK(contains(tensor(R"("dtype":"U8","shape":[04],"data_offsets":[0,4])"), "a whole number of 0 or more"));
  CHECK(contains(tensor(R"("dtype":"U8","shape":[4.0],"data_offsets":[0,4])"), "needs: ']'"));
  CHECK(
      contains(tensor(R"("dtype":"U8","shape":[4])"), "the keys dtype, shape and data_offsets, once each (tensor a)"));
  CHECK(
      contains(tensor(R"("dtype":"U8","dtype":"U8")"), "the keys dtype, shape and data_offsets, once each (tensor a)"));
  CHECK(contains(tensor(R"("dtype":"U8","shape":[4],"data_offsets":[0,4],"more":1)"), "once each (tensor a)"));
  const auto pair = [](const std::string& a, const std::string& b, const std::string& name = "b") {
    return refusal(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a + "},\"" + name +
                       R"(":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}",
                   "abcd");
  };
  CHECK(pair("[0,2]", "[2,4]") == "");
  CHECK(contains(pair("[0,2]", "[1,3]"), "got:   tensor b at byte 1\n  needs: byte 2: no gap and no overlap"));
  CHECK(contains(pair("[0,2]", "[0,2]"), "no gap and no overlap"));
  CHECK(contains(pair("[1,3]", "[3,5]"), "got:   tensor a at byte 1\n  needs: byte 0"));
  CHECK(contains(pair("[0,2]", "[2,4]", "a"), "got:   the tensor a twice"));
  CHECK(contains(refusal(R"({"__metadata__":{"k":"v","k":"w"}})"), "got:   the metadata k twice"));
  CHECK(contains(refusal(R"({"__metadata__":{},"__metadata__":{}})"), "needs: __metadata__ once"));
  CHECK(contains(refusal(R"({"__metadata__":{"k":3}})"), "got:   byte 21: '3}}'\n  needs: '\"'"));
  CHECK(contains(refusal(R"({"\x":{}})"), "one of the escapes of JSON"));
  CHECK(contains(refusal(R"({"\u00g0":{}})"), "four hexadecimal digits"));
  CHECK(contains(refusal(R"({"\ud800":{}})"), "the second half of a surrogate pair"));
  CHECK(contains(refusal(R"({"\ude00":{}})"), "a surrogate pair, not its second half"));
  CHECK(contains(refusal("{\"\xC0\x80\":{}}"), "text in UTF-8"));
  CHECK(contains(refusal("{\"a\n\":{}}"), "the end of the string"));
  CHECK(contains(refusal("{\"a"), "the end of the header\n  needs: the end of the string"));
  CHECK(contains(refusal("{}{}"), "needs: the end of the header"));
  CHECK(contains(refusal("{\"a\":{\"dtype\":\"U8\"},}"), "once each"));
}

TEST_CASE("safetensors: asking and writing are checked") {
  const files::temporary_folder folder;
  const std::string path = folder / "a";
  io::write_safetensors(path, std::vector<io::tensor_view>{{"w", weights, {2, 3}}});
  const io::safetensors_file file(path);
  const auto ask = [&](auto call) { return files::message_of<vivace::file_error>(call); };
  CHECK(contains(ask([&] { (void)file.values<float>("v", {2, 3}); }), "got:   w\n  needs: a tensor named v"));
  CHECK(contains(ask([&] {
                   (void)file.values<float>("w", {3, 2});
                 }),
                 "tensor w\n  got:   [2, 3] of float32\n  needs: [3, 2] of float32"));
  CHECK(contains(ask([&] { (void)file.values<double>("w", {2, 3}); }), "needs: [2, 3] of float64"));
  using list = std::vector<io::tensor_view>;
  const auto write = [&](auto make) {
    return files::message_of<vivace::error>([&] { io::write_safetensors(path, make()); });
  };
  CHECK(contains(write([] {
                   return list{{"w", weights, {2, 2}}};
                 }),
                 "got:   6 values\n  needs: as many as make [2, 2]"));
  CHECK(contains(write([] { return list{{"w", mask, {3}}, {"w", mask, {3}}}; }), "two tensors have one name"));
  CHECK(contains(write([] { return list{{"__metadata__", mask, {3}}}; }), "the name of a tensor is reserved"));
  CHECK(contains(write([] { return list{{"\xFF", mask, {3}}}; }), "a name is not text in UTF-8"));
  const auto twice = files::message_of<vivace::error>([&] { io::write_safetensors(path, {}, {{"k", ""}, {"k", ""}}); });
  CHECK(contains(twice, "two texts have one key"));
  CHECK(file.values<float>("w", {2, 3})[5] == 6.0F);
}

TEST_CASE("safetensors: a failed write leaves the old file and nothing beside it") {
  const files::temporary_folder folder;
  const std::string path = folder / "a";
  const std::vector<float> large(100'000, 1.0F);
  io::write_safetensors(path, std::vector<io::tensor_view>{{"w", weights, {6}}});
  const std::string before = files::read(path);

  // A size limit stands in for a full disk.
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tiny{10'000, old.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &tiny);
  const auto text = files::message_of<vivace::file_error>([&] {
    io::write_safetensors(path, std::vector<io::tensor_view>{{"w", large, {100'000}}});
  });
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(contains(text, "cannot write the file\n  where: " + path + "\n  got:   File too large"));
  CHECK(contains(text, "on a disk with space left"));
  CHECK(files::read(path) == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);

  const auto write_to = [&](const std::string& target) {
    return files::message_of<vivace::file_error>([&] {
      io::write_safetensors(target, std::vector<io::tensor_view>{{"w", weights, {6}}});
    });
  };
  CHECK(contains(write_to("/dev/full"), "got:   No space left on device"));
  CHECK_FALSE(std::filesystem::is_regular_file("/dev/full"));
  CHECK(contains(write_to(folder / "none/a"), "got:   No such file or directory"));
  CHECK(contains(write_to(folder.path()), "got:   a folder of that name"));
}

TEST_CASE("safetensors: replacing keeps links, permissions and open readers") {
  const files::temporary_folder folder;
  const auto put = [&](float value) {
    io::write_safetensors(folder / "link", std::vector<io::tensor_view>{{"w", std::vector<float>{value}, {1}}});
  };
  files::write(folder / "a", "");
  std::filesystem::permissions(folder / "a", std::filesystem::perms(0640));
  std::filesystem::create_symlink("a", folder / "link");
  put(1);
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(std::filesystem::status(folder / "a").permissions() == std::filesystem::perms(0640));
  const io::safetensors_file reader(folder / "a");
  put(2);
  CHECK(reader.values<float>("w", {1})[0] == 1.0F);
  CHECK(io::safetensors_file(folder / "a").values<float>("w", {1})[0] == 2.0F);
}

TEST_CASE("safetensors: no cut and no changed byte crashes the reader") {
  CHECK_NOTHROW(files::torture<vivace::file_error>(packed(one, std::string(12, 'x')), parse));
  CHECK_NOTHROW(files::torture<vivace::file_error>(
      packed(R"({"__metadata__":{"a":"\u00e9"},"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", "abcdefgh"),
      parse));
}
