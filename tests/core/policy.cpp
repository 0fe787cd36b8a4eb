#include <doctest/doctest.h>

#include <type_traits>
#include <vivace/core/policy.hpp>

namespace {

namespace vv = vivace;

struct first_optimiser {
  using family = vv::optimiser_family;
  int value = 1;
};
struct second_optimiser {
  using family = vv::optimiser_family;
  int value = 2;
};
struct no_policy {};

}  // namespace

TEST_CASE("policy: has a family") {
  static_assert(vv::policy<vv::seed> && vv::policy<const vv::batch_size<3>&> && vv::policy<first_optimiser>);
  static_assert(!vv::policy<no_policy> && !vv::policy<int>);
  static_assert(vv::in_family<vv::f64, vv::precision_family> && !vv::in_family<vv::f64, vv::seed_family>);
}

TEST_CASE("policy: the type of a family, or the default") {
  static_assert(std::is_same_v<vv::selected_t<vv::seed_family, vv::seed>, vv::seed>);
  static_assert(std::is_same_v<vv::selected_t<vv::precision_family, vv::f32, vv::seed, vv::batch_size<3>>, vv::f32>);
  static_assert(std::is_same_v<vv::selected_t<vv::precision_family, vv::f32, vv::seed, vv::f64>, vv::f64>);
  static_assert(
      std::is_same_v<vv::selected_t<vv::optimiser_family, first_optimiser, vv::seed, second_optimiser, vv::f64>,
                     second_optimiser>);
  static_assert(vv::selected_t<vv::batch_family, vv::batch_size<128>, vv::seed, vv::batch_size<7>>::value == 7);
}

TEST_CASE("policy: the value of a family, or the default") {
  constexpr auto fallback = vv::select_policy<vv::seed_family>(vv::seed{9}, vv::f32{});
  static_assert(fallback.value == 9);
  constexpr auto chosen = vv::select_policy<vv::seed_family>(vv::seed{9}, vv::batch<4>, vv::seed{3}, vv::f32{});
  static_assert(chosen.value == 3);
  constexpr auto other = vv::select_policy<vv::optimiser_family>(first_optimiser{}, second_optimiser{.value = 8});
  static_assert(std::is_same_v<decltype(other), const second_optimiser> && other.value == 8);
  CHECK(vv::select_policy<vv::seed_family>(vv::seed{5}).value == 5);
}

TEST_CASE("policy: members of a family are counted") {
  static_assert(vv::members_of_family<vv::optimiser_family> == 0);
  static_assert(vv::members_of_family<vv::optimiser_family, vv::seed, first_optimiser> == 1);
  static_assert(vv::members_of_family<vv::optimiser_family, second_optimiser, vv::seed, first_optimiser> == 2);
}
