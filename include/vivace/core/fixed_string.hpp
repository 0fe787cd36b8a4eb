#pragma once
#include <string_view>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// Text of at most `Capacity` characters that is a structural value: it may stand in a graph and in a template argument.
/// Longer text is cut.
template <int Capacity>
struct fixed_string {
  char text[Capacity + 1]{};

  constexpr fixed_string() = default;
  constexpr fixed_string(std::string_view from) {  // NOLINT: text converts to text
    for (int i = 0; i < Capacity && i < static_cast<int>(from.size()); ++i) text[i] = from[static_cast<std::size_t>(i)];
  }
  constexpr fixed_string(const char* from) : fixed_string(std::string_view(from)) {}  // NOLINT: likewise

  [[nodiscard]] constexpr std::string_view view() const { return {text}; }
  [[nodiscard]] constexpr bool empty() const { return text[0] == '\0'; }
  constexpr bool operator==(const fixed_string&) const = default;
};

/// Name of a parameter, an input or a layer.
using identifier = fixed_string<31>;

}  // namespace vivace::inline VIVACE_TARGET
