#pragma once
/// @file
/// Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017), from Debian's package, and other sets in the files of MNIST. Needs
/// zlib.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/dataset.hpp>
#include <vivace/io/idx.hpp>

namespace vivace::inline VIVACE_TARGET::data {

/// Grey images [samples, height, width] and their labels [samples] from two IDX files of bytes, plain or gzip.
/// @return samples of shape [1, height, width], values from 0 to 255 (see dataset::scaled)
/// @throws file_error if a file is missing, damaged or of another kind
/// @throws error if the labels do not fit
inline dataset idx_images(const std::string& images_path, const std::string& labels_path, int classes) {
  struct memory {
    io::idx_array images, labels;
  };
  const auto kept = std::make_shared<const memory>(memory{io::read_idx(images_path), io::read_idx(labels_path)});
  const auto check_rank = [](const io::idx_array& array, std::size_t rank, const char* needs) {
    if (array.dimensions.size() != rank || array.type != io::element::u8)
      throw file_error("the IDX file holds another kind of array", array.path,
                       io::extents_text(array.dimensions) + " of " + std::string(io::element_name(array.type)), needs);
  };
  check_rank(kept->images, 3, "images: [samples, height, width] of uint8");
  check_rank(kept->labels, 1, "labels: [samples] of uint8");
  const auto stored = kept->labels.as<std::uint8_t>();
  const auto labels = std::make_shared<const std::pair<std::shared_ptr<const memory>, std::vector<std::int32_t>>>(
      kept, std::vector<std::int32_t>(stored.begin(), stored.end()));
  const io::extents& extent = kept->images.dimensions;
  return dataset::borrow(kept->images.as<std::uint8_t>(), shape{1, extent[1], extent[2]}, labels->second, classes)
      .keep(labels);
}

/// Fashion-MNIST: 60000 and 10000 images of shape [1, 28, 28] in 10 classes of clothes, kept as bytes and given out
/// as (value / 255 - 0.2860) / 0.3530: mean 0 and standard deviation 1 over the training images.
/// @param folder where {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz lie
/// @throws file_error if the files are missing (naming the package to install) or damaged
inline train_and_test fashion_mnist(const std::string& folder = "/usr/share/datasets/fashion-mnist") {
  constexpr double mean = 0.2860, deviation = 0.3530;
  const auto part = [&](const char* prefix, std::int64_t samples) {
    const std::string images = folder + '/' + prefix + "-images-idx3-ubyte.gz";
    const std::string labels = folder + '/' + prefix + "-labels-idx1-ubyte.gz";
    for (const std::string& path : {images, labels})
      if (::access(path.c_str(), F_OK) != 0)
        throw file_error("Fashion-MNIST is not installed", path, "no such file",
                         "the Debian package dataset-fashion-mnist (apt-get install dataset-fashion-mnist), or the "
                         "path of a folder with its four files");
    const dataset set = idx_images(images, labels, 10);
    if (set.size() != samples || !(set.sample_shape() == shape{1, 28, 28}))
      throw file_error("this is not Fashion-MNIST", images, std::to_string(set.size()) + " images",
                       std::to_string(samples) + " images of 28 x 28");
    return set.scaled(1 / (255 * deviation), -mean / deviation)
        .named(
            {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"});
  };
  return {part("train", 60000), part("t10k", 10000)};
}

}  // namespace vivace::inline VIVACE_TARGET::data
