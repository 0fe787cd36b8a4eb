#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vivace/data/fashion_mnist.hpp>

#include "../io/files.hpp"
#include "laws.hpp"

namespace data = vivace::data;
using files::contains;

namespace {

std::string idx_file(const std::string& header, std::size_t elements, char value = 0) {
  return header + std::string(elements, value);
}

}  // namespace

TEST_CASE("fashion_mnist: the package of Debian") {
  data::train_and_test set;
  try {
    set = data::fashion_mnist();
  } catch (const vivace::file_error& missing) {
    MESSAGE("skipped: " << missing.what());
    return;
  }
  CHECK(set.train.size() == 60000);
  CHECK(set.test.size() == 10000);
  CHECK(set.train.sample_shape() == vivace::shape{1, 28, 28});
  CHECK(set.train.classes() == 10);
  CHECK(set.test.class_names()[9] == "Ankle boot");
  CHECK(set.train.label(0) == 9);

  std::vector<double> image(784);
  std::vector<int> count(10);
  double sum = 0, squares = 0;
  for (std::uint32_t i = 0; i < 60000; ++i) {
    set.train.gather(std::span(&i, 1), image.data());
    for (const double value : image) {
      sum += value;
      squares += value * value;
    }
    ++count[static_cast<std::size_t>(set.train.label(i))];
  }
  const double mean = sum / (60000.0 * 784);
  CHECK(std::abs(mean) < 2e-4);
  CHECK(std::abs(std::sqrt(squares / (60000.0 * 784) - mean * mean) - 1) < 2e-4);
  CHECK(std::all_of(count.begin(), count.end(), [](int one) { return one == 6000; }));
  laws::check_source(set.test);
  laws::check_source<double>(set.train.take(7));
}

TEST_CASE("fashion_mnist: a missing set names the package to install") {
  const files::temporary_folder folder;
  const auto text = files::message_of<vivace::file_error>([&] { data::fashion_mnist(folder.path()); });
  CHECK(contains(text, "Fashion-MNIST is not installed\n  where: " + folder.path() + "/train-images-idx3-ubyte.gz"));
  CHECK(contains(text, "apt-get install dataset-fashion-mnist"));
}

TEST_CASE("fashion_mnist: other files are refused") {
  using namespace std::string_literals;
  const files::temporary_folder folder;
  const std::string images = folder / "images", labels = folder / "labels";
  const auto refusal = [&] { return files::message_of<vivace::error>([&] { data::idx_images(images, labels, 3); }); };
  files::write(images, idx_file("\0\0\x08\x03\0\0\0\x02\0\0\0\x03\0\0\0\x01"s, 6, 7));
  files::write(labels, idx_file("\0\0\x08\x01\0\0\0\x02"s, 2, 2));
  const data::dataset set = data::idx_images(images, labels, 3);
  CHECK(set.sample_shape() == vivace::shape{1, 3, 1});
  CHECK(set.label(1) == 2);
  laws::check_source(set);

  files::write(labels, idx_file("\0\0\x08\x01\0\0\0\x02"s, 2, 3));
  CHECK(contains(refusal(), "where: sample 0\n  got:   label 3"));
  files::write(labels, idx_file("\0\0\x08\x01\0\0\0\x03"s, 3));
  CHECK(contains(refusal(), "got:   3 labels"));
  files::write(labels, files::read(images));
  CHECK(contains(refusal(), "got:   [2, 3, 1] of uint8\n  needs: labels: [samples] of uint8"));
  for (const char* prefix : {"train", "t10k"}) {
    files::write(folder / (prefix + "-images-idx3-ubyte.gz"s), files::read(images));
    files::write(folder / (prefix + "-labels-idx1-ubyte.gz"s), idx_file("\0\0\x08\x01\0\0\0\x02"s, 2, 2));
  }
  const auto text = files::message_of<vivace::file_error>([&] { data::fashion_mnist(folder.path()); });
  CHECK(contains(text, "this is not Fashion-MNIST"));
  CHECK(contains(text, "got:   2 images\n  needs: 60000 images of 28 x 28"));
}
