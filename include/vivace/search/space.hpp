#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include <vivace/core/errors.hpp>
#include <vivace/core/random.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/search/architecture.hpp>

/// @file
/// Search spaces: a space is a type that says which choices there are and builds the network of any architecture.

namespace vivace::inline VIVACE_TARGET::search {

/// One choice of a space: a name and its options, which are words or whole numbers.
struct choice {
  static constexpr int max_options = 32;
  std::string_view name;
  int options = 0;
  bool numeric = false;
  std::string_view word[max_options]{};
  int number[max_options]{};  ///< of a numeric choice

  constexpr choice(std::string_view choice_name, std::initializer_list<std::string_view> words)
      : name(choice_name), options(checked(words.size())) {
    int i = 0;
    for (const std::string_view one : words) word[i++] = one;
  }
  constexpr choice(std::string_view choice_name, std::initializer_list<int> numbers)
      : name(choice_name), options(checked(numbers.size())), numeric(true) {
    int i = 0;
    for (const int one : numbers) number[i++] = one;
  }
  /// An option as text.
  [[nodiscard]] std::string text(int index) const {
    return numeric ? std::to_string(number[index]) : std::string(word[index]);
  }

 private:
  static constexpr int checked(std::size_t count) {
    if (count < 1 || count > max_options)
      throw error("a choice has too few or too many options", "choice", std::to_string(count) + " options",
                  "1 to 32 options");
    return static_cast<int>(count);
  }
};

/// A search space: a type with
/// - `choices`: a constant array of choice, at most max_choices long;
/// - `build(graph, of)`: adds the nodes of the network of an architecture to a builder and returns the loss, as any
///   definition does. Whatever stands in it is compiled once, for all architectures.
///
/// A space may also have `text(of)` and `parse(text)`, which replace the form "width=64 depth=2", and `key(of)`: text
/// that is equal for architectures that are the same network.
template <class Space>
concept search_space = requires(builder& graph, const architecture& of) {
  {std::span<const choice>(Space::choices)};
  { Space::build(graph, of) } -> std::same_as<value>;
};

/// The choices of a space.
template <search_space Space>
constexpr std::span<const choice> choices_of() {
  constexpr std::span<const choice> all(Space::choices);
  static_assert(all.size() >= 1 && all.size() <= max_choices, "vivace: what: a space needs 1 to 64 choices");
  return all;
}

/// Number of architectures; the largest 64-bit number if there are more.
constexpr std::uint64_t count(std::span<const choice> choices) {
  constexpr std::uint64_t most = (std::numeric_limits<std::uint64_t>::max)();
  std::uint64_t total = 1;
  for (const choice& one : choices) {
    const auto options = static_cast<std::uint64_t>(one.options);
    if (total > most / options) return most;
    total *= options;
  }
  return total;
}
template <search_space Space>
constexpr std::uint64_t count() {
  return count(choices_of<Space>());
}

/// True if each option exists.
constexpr bool belongs(std::span<const choice> choices, const architecture& of) {
  if (of.size() != static_cast<int>(choices.size())) return false;
  for (int i = 0; i < of.size(); ++i)
    if (of[i] >= choices[static_cast<std::size_t>(i)].options) return false;
  return true;
}

/// Architecture number `index` of the enumeration, in which the last choice changes fastest.
/// @param index below count()
constexpr architecture at(std::span<const choice> choices, std::uint64_t index) {
  architecture result = architecture::first_of(static_cast<int>(choices.size()));
  for (int i = result.size() - 1; i >= 0; --i) {
    const auto options = static_cast<std::uint64_t>(choices[static_cast<std::size_t>(i)].options);
    result[i] = static_cast<std::uint8_t>(index % options);
    index /= options;
  }
  return result;
}
template <search_space Space>
constexpr architecture at(std::uint64_t index) {
  return at(choices_of<Space>(), index);
}

/// The inverse of at().
constexpr std::uint64_t index_of(std::span<const choice> choices, const architecture& of) {
  std::uint64_t index = 0;
  for (int i = 0; i < of.size(); ++i)
    index = index * static_cast<std::uint64_t>(choices[static_cast<std::size_t>(i)].options) +
            static_cast<std::uint64_t>(of[i]);
  return index;
}
template <search_space Space>
constexpr std::uint64_t index_of(const architecture& of) {
  return index_of(choices_of<Space>(), of);
}

/// Each option uniformly and independently. Uses positions 0 to max_choices - 1 of the stream.
constexpr architecture sample(std::span<const choice> choices, const random_stream& random) {
  architecture result = architecture::first_of(static_cast<int>(choices.size()));
  for (int i = 0; i < result.size(); ++i) {
    const auto options = static_cast<std::uint64_t>(choices[static_cast<std::size_t>(i)].options);
    result[i] = static_cast<std::uint8_t>(random.below(static_cast<std::uint64_t>(i), options));
  }
  return result;
}
template <search_space Space>
constexpr architecture sample(const random_stream& random) {
  return sample(choices_of<Space>(), random);
}

/// The same architecture with exactly one choice, drawn uniformly, at a different option, drawn uniformly. Choices with
/// one option are left alone; a space of nothing else has no mutants, and the parent is returned. Uses positions 0 and
/// 1 of the stream.
constexpr architecture mutated(std::span<const choice> choices, const architecture& parent,
                               const random_stream& random) {
  std::uint64_t open = 0;
  for (const choice& one : choices) open += one.options > 1 ? 1 : 0;
  if (open == 0) return parent;
  std::uint64_t drawn = random.below(0, open);
  int at_choice = 0;
  while (choices[static_cast<std::size_t>(at_choice)].options == 1 || drawn-- > 0) ++at_choice;
  const auto others = static_cast<std::uint64_t>(choices[static_cast<std::size_t>(at_choice)].options - 1);
  int option = static_cast<int>(random.below(1, others));
  if (option >= parent[at_choice]) ++option;
  architecture child = parent;
  child[at_choice] = static_cast<std::uint8_t>(option);
  return child;
}
template <search_space Space>
constexpr architecture mutated(const architecture& parent, const random_stream& random) {
  return mutated(choices_of<Space>(), parent, random);
}

/// Each choice from one of the parents, either with probability 1/2. Uses positions 0 to max_choices - 1 of the stream.
constexpr architecture crossed(const architecture& mother, const architecture& father, const random_stream& random) {
  architecture child = mother;
  for (int i = 0; i < child.size(); ++i)
    if (random.below(static_cast<std::uint64_t>(i), 2) == 1) child[i] = father.option[i];
  return child;
}

namespace detail {

inline std::string plain_text(std::span<const choice> choices, const architecture& of) {
  std::string result;
  for (int i = 0; i < of.size(); ++i) {
    const choice& one = choices[static_cast<std::size_t>(i)];
    result += (i > 0 ? " " : "") + std::string(one.name) + '=' + one.text(of[i]);
  }
  return result;
}

[[noreturn]] inline void refuse_text(std::string_view text, const std::string& needs) {
  throw error("this is no architecture of the space", "architecture", std::string(text.substr(0, 200)), needs);
}

inline architecture parse_plain(std::span<const choice> choices, std::string_view text) {
  architecture result = architecture::first_of(static_cast<int>(choices.size()));
  std::string_view rest = text;
  for (int i = 0; i < result.size(); ++i) {
    const choice& one = choices[static_cast<std::size_t>(i)];
    const std::string_view field = rest.substr(0, rest.find(' '));
    int found = one.options - 1;
    while (found >= 0 && field != std::string(one.name) + '=' + one.text(found)) --found;
    if (found < 0) {
      std::string needs = std::string(one.name) + '=';
      for (int j = 0; j < one.options; ++j) needs += (j > 0 ? "|" : "") + one.text(j);
      refuse_text(text, needs + " at place " + std::to_string(i + 1));
    }
    result[i] = static_cast<std::uint8_t>(found);
    rest.remove_prefix(field.size() < rest.size() ? field.size() + 1 : rest.size());
  }
  if (!rest.empty()) refuse_text(text, "nothing after the last choice");
  return result;
}

}  // namespace detail

/// @throws error if an architecture is none of the space
inline void check(std::span<const choice> choices, const architecture& of) {
  if (belongs(choices, of)) return;
  std::string got;
  for (int i = 0; i < of.size() && i < max_choices; ++i) got += (i > 0 ? " " : "") + std::to_string(of[i]);
  std::string needs = "one option each below";
  for (const choice& one : choices) needs += ' ' + std::to_string(one.options);
  throw error("this is no architecture of the space", "architecture", got, needs);
}

/// An architecture as text; parse() reads it.
template <search_space Space>
std::string text(const architecture& of) {
  check(choices_of<Space>(), of);
  if constexpr (requires { Space::text(of); })
    return Space::text(of);
  else
    return detail::plain_text(choices_of<Space>(), of);
}

/// The architecture of a text. @throws error if it is none of the space
template <search_space Space>
architecture parse(std::string_view from) {
  if constexpr (requires { Space::parse(from); })
    return Space::parse(from);
  else
    return detail::parse_plain(choices_of<Space>(), from);
}

/// Text that is equal for architectures that are the same network, as far as the space can tell.
template <search_space Space>
std::string key(const architecture& of) {
  check(choices_of<Space>(), of);
  if constexpr (requires { Space::key(of); })
    return Space::key(of);
  else
    return text<Space>(of);
}

/// The network of an architecture as a definition: made, planned and trained at run time with no compilation.
/// @code
/// vv::trainer trainer{vv::search::network<space>{found}, vv::batch<128>, vv::sgd_momentum{}};
/// @endcode
template <search_space Space>
struct network {
  architecture of;
  constexpr value operator()(builder& graph) const { return Space::build(graph, of); }
};

/// The same as a network tag, for an architecture that is a constant: planned by the compiler.
template <search_space Space, architecture Of>
struct fixed_network {
  static_assert(belongs(choices_of<Space>(), Of), "vivace: what: the architecture is none of the space");
  static constexpr network<Space> graph{Of};
};

/// What strategies know of a space, which makes them code that is compiled once.
struct space_view {
  std::span<const choice> choices;
  std::string (*text)(const architecture&) = nullptr;
  architecture (*parse)(std::string_view) = nullptr;
};
template <search_space Space>
inline constexpr space_view view_of{choices_of<Space>(), &text<Space>, &parse<Space>};

}  // namespace vivace::inline VIVACE_TARGET::search
