#pragma once
// Help for tests that read and write files.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace files {

/// A folder that lives as long as the object.
class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "vivace-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + '/' + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Text of the exception of type Expected that the call throws; empty if it throws none.
template <class Expected, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Expected& caught) {
    return caught.what();
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Every cut of a valid file, and every change of one byte to a few values, must be read or refused with Expected.
template <class Expected, class Read>
void torture(const std::string& valid, Read&& read_bytes, bool cuts_must_fail = true) {
  for (std::size_t length = 0; length < valid.size(); ++length) {
    bool refused = false;
    try {
      read_bytes(valid.substr(0, length));
    } catch (const Expected&) {
      refused = true;
    }
    if (cuts_must_fail && !refused) throw std::runtime_error("accepted a file cut at byte " + std::to_string(length));
  }
  for (std::size_t at = 0; at < valid.size(); ++at)
    for (const int value : {0, 1, 0x20, 0x22, 0x2C, 0x39, 0x7B, 0x7F, 0x80, 0xFF}) {
      std::string changed = valid;
      changed[at] = static_cast<char>(value);
      try {
        read_bytes(changed);
      } catch (const Expected&) {
      }
    }
}

}  // namespace files
