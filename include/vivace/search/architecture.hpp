#pragma once
#include <cstdint>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET::search {

/// Most choices a space can have.
inline constexpr int max_choices = 64;

/// One architecture of a space: for each choice the index of the option taken. A small value that any space shares, fit
/// to be a template argument; what it means is the space's business.
struct architecture {
  std::uint8_t option[max_choices]{};  ///< those past `choices` are 0
  std::uint8_t choices = 0;

  constexpr architecture() = default;
  /// All first options of a number of choices.
  static constexpr architecture first_of(int count) {
    architecture result;
    result.choices = static_cast<std::uint8_t>(count);
    return result;
  }
  /// The given options.
  template <class... Options>
  requires(sizeof...(Options) > 0 &&
           sizeof...(Options) <=
               max_choices) constexpr architecture(Options... options)  // NOLINT: a list of options is an architecture
      : option{static_cast<std::uint8_t>(options)...}, choices(sizeof...(Options)) {}

  [[nodiscard]] constexpr int size() const { return choices; }
  constexpr int operator[](int choice) const { return option[choice]; }
  constexpr std::uint8_t& operator[](int choice) { return option[choice]; }
  constexpr bool operator==(const architecture&) const = default;
};

/// FNV-1a over the options: the same number on every machine.
constexpr std::uint64_t hash(const architecture& of) {
  std::uint64_t result = 0xCBF29CE484222325;
  for (int i = 0; i < of.size(); ++i) result = (result ^ of.option[i]) * 0x100000001B3;
  return result;
}

}  // namespace vivace::inline VIVACE_TARGET::search
