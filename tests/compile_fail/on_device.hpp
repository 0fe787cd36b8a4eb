#pragma once
#include <vivace/core/parallel.hpp>
#include <vivace/core/policy.hpp>

/// An executor of a device.
struct on_device {
  using family = vivace::executor_family;
  struct executor {
    explicit executor(const on_device&) {}
    vivace::parallel lanes() { return {}; }
    template <class Precision>
    void* device() {
      return nullptr;
    }
  };
};
