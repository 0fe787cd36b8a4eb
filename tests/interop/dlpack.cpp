// Tensors by DLPack, without copying: to others, from others, and what is refused.
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <vivace/interop/dlpack.hpp>
#include <vivace/nn/dense.hpp>
#include <vivace/nn/model.hpp>
#include <vivace/train/trainer.hpp>

namespace vv = vivace;
namespace interop = vivace::interop;

namespace {

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const vv::error& caught) {
    return caught.what();
  }
  return {};
}
bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

struct linear {
  static constexpr auto graph = vv::classifier(vv::features{3}, vv::classes{2}, vv::dense{2});
};

/// A tensor as another library makes it.
struct foreign {
  std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  std::vector<std::int64_t> extents{2, 3}, strides{3, 1};
  DLManagedTensor managed{};
  int deleted = 0;

  foreign() {
    managed.dl_tensor = {numbers.data(), {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, extents.data(), strides.data(), 0};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensor* self) { ++static_cast<foreign*>(self->manager_ctx)->deleted; };
  }
  DLTensor& tensor() { return managed.dl_tensor; }
};

}  // namespace

TEST_CASE("dlpack: a parameter goes out and comes back, the same memory") {
  vv::trainer trainer{linear{}, vv::batch<4>, vv::seed{1}, vv::f64{}};
  const auto weight = trainer.values().find("0.dense.weight");
  auto owner = std::make_shared<int>(1);
  DLManagedTensor* const out = interop::to_dlpack(weight, owner);
  CHECK(owner.use_count() == 2);
  const DLTensor& tensor = out->dl_tensor;
  CHECK(tensor.data == weight.data);
  CHECK(tensor.ndim == 2);
  CHECK(tensor.shape[0] == 3);
  CHECK(tensor.strides[0] == 2);
  CHECK(tensor.strides[1] == 1);
  CHECK(tensor.device.device_type == kDLCPU);
  CHECK(int{tensor.dtype.bits} == 64);
  const auto back = interop::from_dlpack<double>(tensor);
  CHECK(back.data == weight.data);
  CHECK(back.dims == weight.dims);
  out->deleter(out);
  CHECK(owner.use_count() == 1);
  CHECK(contains(message_of([&] { interop::to_dlpack(trainer.engine().prediction()); }), "number of samples"));
}

TEST_CASE("dlpack: data sets borrow tensors, or take them over") {
  foreign features, targets;
  targets.extents = {2, 3};
  CHECK(interop::samples_of(features.tensor()).sample_shape() == vv::shape{3});
  {
    const auto set = interop::samples_of(&features.managed, &targets.managed);
    const auto copy = set.take(1);
    CHECK(set.target_size() == 3);
    features.numbers[0] = 9;
    const std::uint32_t first = 0;
    std::vector<float> row(3);
    copy.gather(std::span(&first, 1), row.data());
    CHECK(row == std::vector<float>{9, 2, 3});
    CHECK(features.deleted == 0);
  }
  CHECK(features.deleted == 1);
  CHECK(targets.deleted == 1);

  std::vector<std::int32_t> classes{1, 0};
  std::int64_t two = 2;
  const DLTensor labels{classes.data(), {kDLCPU, 0}, 1, {kDLInt, 32, 1}, &two, nullptr, 0};
  CHECK(interop::samples_of(features.tensor(), labels).classes() == 2);
  DLTensor wide = labels;
  wide.dtype.bits = 64;
  CHECK(contains(message_of([&] { interop::samples_of(features.tensor(), wide); }), "int64"));
}

TEST_CASE("dlpack: byte offset, strides of single rows, no strides") {
  foreign from;
  from.tensor().byte_offset = 12;
  from.extents = {1, 3};
  from.strides = {77, 1};  // of an axis with one element: no matter
  CHECK(interop::from_dlpack<float>(from.tensor()).data == from.numbers.data() + 3);
  from.tensor().strides = nullptr;
  CHECK(interop::from_dlpack<float>(from.tensor()).dims == vv::shape{1, 3});
}

TEST_CASE("dlpack: what cannot be read in place is refused") {
  const auto refused = [](auto&& change) {
    foreign from;
    change(from);
    const std::string text = message_of([&] { interop::from_dlpack<float>(from.tensor()); });
    CHECK(text == message_of([&] { interop::samples_of(&from.managed); }));
    CHECK(from.deleted == 1);  // taken over, so also after an error
    return text;
  };
  CHECK(contains(refused([](foreign& f) { f.tensor().device.device_type = kDLCUDA; }), "another device"));
  CHECK(contains(refused([](foreign& f) { f.tensor().dtype.bits = 16; }), "float16"));
  CHECK(contains(refused([](foreign& f) { f.tensor().dtype = {kDLInt, 32, 1}; }), "int32"));
  CHECK(contains(refused([](foreign& f) { f.tensor().dtype.lanes = 4; }), "x 4"));
  CHECK(contains(refused([](foreign& f) { f.strides = {1, 2}; }), "not row-major without gaps"));
  CHECK(contains(refused([](foreign& f) { f.tensor().byte_offset = 2; }), "not aligned"));
  CHECK(contains(refused([](foreign& f) { f.tensor().data = nullptr; }), "no memory"));
  CHECK(contains(refused([](foreign& f) { f.extents[0] = -1; }), "out of range"));
  foreign deep;
  deep.extents.assign(9, 1);
  deep.strides.assign(9, 1);
  deep.tensor().ndim = 9;
  deep.tensor().shape = deep.extents.data();
  deep.tensor().strides = deep.strides.data();
  CHECK(contains(message_of([&] { interop::from_dlpack<float>(deep.tensor()); }), "too many axes"));
  CHECK(contains(message_of([&] { interop::samples_of(deep.tensor()); }), "no list of samples"));
}
