#include <doctest/doctest.h>

#include <vivace/kernel/cpu/windows.hpp>
#include <vivace/kernel/reference/windows.hpp>

#include "calls.hpp"

namespace {

namespace vv = vivace;

template <class Real>
void compare_pools(const vv::shape& image, int kernel_h, int kernel_w, int stride_h, int stride_w, int padding_h,
                   int padding_w, bool special) {
  INFO(image[0], " x ", image[1], " x ", image[2], " x ", image[3], ", kernel ", kernel_h, " x ", kernel_w, ", stride ",
       stride_h, " x ", stride_w, ", padding ", padding_h, " x ", padding_w, ", special ", special);
  const auto cut = [](int number) { return static_cast<std::int16_t>(number); };
  const vv::window frame{.kernel = {cut(kernel_h), cut(kernel_w)},
                         .stride = {cut(stride_h), cut(stride_w)},
                         .padding = {cut(padding_h), cut(padding_w)}};
  const vv::shape windows{image[0], image[1], (image[2] + 2 * padding_h - kernel_h) / stride_h + 1,
                          (image[3] + 2 * padding_w - kernel_w) / stride_w + 1};
  const auto spoil = [&](calls::owned_call<Real>& work) {
    if (!special) {  // many equals: the first counts
      for (Real& value : work.operands[0]) value = std::round(value * 2);
      return;
    }
    const Real values[] = {calls::nan<Real>, calls::infinity<Real>, -calls::infinity<Real>};
    for (std::size_t i = 0; i < work.operands[0].size(); i += 5) work.operands[0][i] = values[(i / 5 + i / 35) % 3];
  };
  calls::owned_call<Real> forward{.out = windows, .in = {image}, .attr = {.frame = frame}};
  forward.fill();
  spoil(forward);
  calls::compare<Real>(forward, vv::cpu::max_pool<Real>, vv::reference::max_pool<Real>, 0);
  calls::compare<Real>(forward, vv::cpu::avg_pool<Real>, vv::reference::avg_pool<Real>, 8);
  calls::owned_call<Real> backward{.out = image, .in = {windows}, .attr = {.frame = frame}};
  backward.fill();
  calls::compare<Real>(backward, vv::cpu::avg_pool_gradient<Real>, vv::reference::avg_pool_gradient<Real>, 8);
  calls::owned_call<Real> found{.out = image, .in = {image, windows}, .attr = {.frame = frame}};
  found.fill();
  spoil(found);
  calls::compare<Real>(found, vv::cpu::max_pool_gradient<Real>, vv::reference::max_pool_gradient<Real>, 4);
  calls::owned_call<Real> pick{.out = windows, .in = {image, image}, .attr = {.frame = frame}};
  pick.fill();
  spoil(pick);
  calls::compare<Real>(pick, vv::cpu::max_pool_pick<Real>, vv::reference::max_pool_pick<Real>, 0);
}

}  // namespace

TEST_CASE_TEMPLATE("pools of 2 x 2 equal the reference at every width", Real, float, double) {
  for (int width = 2; width < 40; ++width)
    for (const int height : {2, 3, 6})
      for (const bool special : {false, true}) compare_pools<Real>({3, 2, height, width}, 2, 2, 2, 2, 0, 0, special);
  compare_pools<Real>({33, 16, 28, 28}, 2, 2, 2, 2, 0, 0, false);
  compare_pools<Real>({300, 16, 5, 5}, 2, 2, 2, 2, 0, 0, false);  // several tasks whose stores run over rows
  compare_pools<Real>({300, 16, 7, 6}, 2, 2, 2, 2, 0, 0, true);
  compare_pools<Real>({1, 1, 1000, 300}, 2, 2, 2, 2, 0, 0, true);
}

TEST_CASE_TEMPLATE("pools of every geometry equal the reference", Real, float, double) {
  for (int width = 3; width < 37; ++width)
    for (const bool special : {false, true}) {
      compare_pools<Real>({2, 3, 7, width}, 3, 3, 2, 2, 0, 0, special);
      compare_pools<Real>({2, 3, 8, width}, 3, 3, 2, 2, 1, 1, special);
      compare_pools<Real>({2, 3, 8, width}, 3, 3, 1, 1, 1, 1, special);
      compare_pools<Real>({2, 1, 8, width}, 3, 2, 1, 3, 2, 1, special);
      compare_pools<Real>({2, 1, 9, width}, 1, 1, 2, 2, 0, 0, special);
      compare_pools<Real>({2, 1, 9, width}, 2, 3, 4, 5, 1, 2, special);  // elements that no window sees
    }
  compare_pools<Real>({40, 8, 32, 32}, 3, 3, 2, 2, 1, 1, false);
  compare_pools<Real>({5, 7, 7, 7}, 7, 7, 7, 7, 0, 0, true);  // a mean of each channel
  compare_pools<Real>({1, 1, 3, 3000}, 2, 2, 2, 2, 0, 0, false);
  compare_pools<Real>({1, 1, 3, 3000}, 3, 3, 2, 2, 1, 1, false);
}
