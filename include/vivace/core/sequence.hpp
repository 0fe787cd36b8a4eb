#pragma once
#include <memory>
#include <type_traits>

#include <vivace/config.hpp>

namespace vivace::inline VIVACE_TARGET {

/// A growing array that constant evaluation accepts on every supported compiler (std::vector is refused by clang 19
/// with libstdc++ 12, and costs more evaluation steps). For trivially copyable elements only.
template <class Element>
class sequence {
  static_assert(std::is_trivially_copyable_v<Element>);

 public:
  constexpr sequence() = default;
  constexpr explicit sequence(int count, const Element& value = Element{}) { resize(count, value); }
  constexpr sequence(const sequence& other) { append(other); }
  constexpr sequence(sequence&& other) noexcept : data_(other.data_), size_(other.size_), capacity_(other.capacity_) {
    other.forget();
  }
  constexpr sequence& operator=(const sequence& other) {
    if (this != &other) {
      size_ = 0;
      append(other);
    }
    return *this;
  }
  constexpr sequence& operator=(sequence&& other) noexcept {
    if (this != &other) {
      release();
      data_ = other.data_;
      size_ = other.size_;
      capacity_ = other.capacity_;
      other.forget();
    }
    return *this;
  }
  constexpr ~sequence() { release(); }

  [[nodiscard]] constexpr int size() const { return size_; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
  [[nodiscard]] constexpr const Element* data() const { return data_; }
  [[nodiscard]] constexpr Element* data() { return data_; }
  constexpr const Element& operator[](int index) const { return data_[index]; }
  constexpr Element& operator[](int index) { return data_[index]; }
  constexpr const Element* begin() const { return data_; }
  constexpr const Element* end() const { return data_ + size_; }
  constexpr Element* begin() { return data_; }
  constexpr Element* end() { return data_ + size_; }
  constexpr const Element& back() const { return data_[size_ - 1]; }
  constexpr Element& back() { return data_[size_ - 1]; }

  constexpr void push_back(const Element& value) {
    if (size_ == capacity_) {
      const Element copy = value;  // value may live in the storage that grows
      reserve(capacity_ == 0 ? 16 : 2 * capacity_);
      std::construct_at(data_ + size_, copy);
    } else {
      std::construct_at(data_ + size_, value);
    }
    ++size_;
  }
  constexpr void pop_back() { --size_; }
  constexpr void clear() { size_ = 0; }
  constexpr void resize(int count, const Element& value = Element{}) {
    const Element copy = value;  // likewise
    if (count > capacity_) reserve(count);
    for (int i = size_; i < count; ++i) std::construct_at(data_ + i, copy);
    size_ = count;
  }
  constexpr void append(const sequence& other) {
    reserve(size_ + other.size_);
    for (int i = 0; i < other.size_; ++i) std::construct_at(data_ + size_ + i, other.data_[i]);
    size_ += other.size_;
  }
  constexpr void insert(int position, const Element& value) {
    push_back(value);
    const Element copy = back();
    for (int i = size_ - 1; i > position; --i) data_[i] = data_[i - 1];
    data_[position] = copy;
  }
  constexpr void erase(int position) {
    for (int i = position + 1; i < size_; ++i) data_[i - 1] = data_[i];
    --size_;
  }
  constexpr void reserve(int capacity) {
    if (capacity <= capacity_) return;
    std::allocator<Element> allocator;
    Element* grown = allocator.allocate(static_cast<std::size_t>(capacity));
    for (int i = 0; i < size_; ++i) std::construct_at(grown + i, data_[i]);
    if (data_ != nullptr) allocator.deallocate(data_, static_cast<std::size_t>(capacity_));
    data_ = grown;
    capacity_ = capacity;
  }

 private:
  constexpr void release() {
    if (data_ != nullptr) std::allocator<Element>{}.deallocate(data_, static_cast<std::size_t>(capacity_));
    forget();
  }
  constexpr void forget() {
    data_ = nullptr;
    size_ = capacity_ = 0;
  }

  Element* data_ = nullptr;
  int size_ = 0;
  int capacity_ = 0;
};

/// Elements that live elsewhere, read-only: in a sequence, or in a constant array.
template <class Element>
class sequence_view {
 public:
  constexpr sequence_view() = default;
  constexpr sequence_view(const Element* data, int size) : data_(data), size_(size) {}
  constexpr sequence_view(const sequence<Element>& from) : data_(from.data()), size_(from.size()) {}  // NOLINT: a view

  [[nodiscard]] constexpr int size() const { return size_; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
  [[nodiscard]] constexpr const Element* data() const { return data_; }
  constexpr const Element& operator[](int index) const { return data_[index]; }
  constexpr const Element* begin() const { return data_; }
  constexpr const Element* end() const { return data_ + size_; }

 private:
  const Element* data_ = nullptr;
  int size_ = 0;
};

/// A sequence fit to be a constant, with room for Capacity elements. Of a longer one it keeps the size alone.
template <class Element, int Capacity>
struct frozen_sequence {
  Element element[Capacity == 0 ? 1 : Capacity]{};
  int size = 0;
  constexpr frozen_sequence() = default;
  constexpr explicit frozen_sequence(sequence_view<Element> from) : size(from.size()) {
    for (int i = 0; i < size && size <= Capacity; ++i) element[i] = from[i];
  }
  constexpr operator sequence_view<Element>() const { return {element, size}; }  // NOLINT: a view of itself
};

}  // namespace vivace::inline VIVACE_TARGET
