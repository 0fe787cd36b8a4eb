#pragma once
/// @file
/// Images in a folder of class folders, read by stb_image (Debian: libstb-dev).
///
/// This header declares stb_image and never defines it, so that a program holds one definition, and its own if it has
/// one: link with -lstb, or let one source file define STB_IMAGE_IMPLEMENTATION before including <stb/stb_image.h>.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<stb/stb_image.h>) && !defined(STBI_INCLUDE_STB_IMAGE_H)  // a second inclusion would define it again
#include <stb/stb_image.h>
#endif

#include <vivace/config.hpp>
#include <vivace/core/errors.hpp>
#include <vivace/core/shape.hpp>
#include <vivace/data/dataset.hpp>

namespace vivace::inline VIVACE_TARGET::data {

#if defined(STBI_INCLUDE_STB_IMAGE_H)

namespace detail {

/// Names in a folder, sorted, without hidden ones. @throws file_error if it cannot be listed
inline std::vector<std::string> sorted_entries(const std::string& folder) {
  std::vector<std::string> names;
  try {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (std::string name = entry.path().filename().string(); name[0] != '.') names.push_back(std::move(name));
  } catch (const std::filesystem::filesystem_error& failure) {
    throw file_error("cannot list the folder", folder, failure.code().message(),
                     "a folder with one folder of images a class");
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Appends the pixels of a PNG or JPEG file to [images, channels, height, width]; the first file sets height and width.
inline void append_image(const std::string& path, int channels, int& height, int& width,
                         std::vector<std::uint8_t>& pixels) {
  const auto unreadable = [&] {
    const char* const reason = stbi_failure_reason();
    return file_error("cannot read the image", path, reason != nullptr ? reason : "an unknown format",
                      "a PNG or JPEG file that is complete; remove other files from the class folders");
  };
  int found_width = 0, found_height = 0, ignored = 0;
  if (stbi_info(path.c_str(), &found_width, &found_height, &ignored) == 0) throw unreadable();
  const auto size_text = [](int high, int wide) {
    return "height " + std::to_string(high) + ", width " + std::to_string(wide);
  };
  constexpr std::int64_t most_pixels = 1 << 28;
  if (std::int64_t{found_width} * found_height > most_pixels)
    throw file_error("the image is too large", path, size_text(found_height, found_width), "at most 2^28 pixels");
  if (pixels.empty()) {
    height = found_height;
    width = found_width;
  }
  if (found_height != height || found_width != width)
    throw file_error("the images differ in size", path, size_text(found_height, found_width),
                     size_text(height, width) + ", as the first image: resize the images beforehand");
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> image(
      stbi_load(path.c_str(), &found_width, &found_height, &ignored, channels), &stbi_image_free);
  if (image == nullptr) throw unreadable();
  if (found_height != height || found_width != width) throw unreadable();  // changed between the two calls
  const std::size_t area = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  const auto step = static_cast<std::size_t>(channels);
  for (std::size_t channel = 0; channel < step; ++channel)
    for (std::size_t i = 0; i < area; ++i) pixels.push_back(image.get()[i * step + channel]);
}

}  // namespace detail

/// All images below folder/<class>/: PNG or JPEG, of one size. Classes and files are taken in the order of their names;
/// hidden files are passed over.
/// @param channels 3 for colour or 1 for grey; images are converted, alpha is dropped
/// @return samples of shape [channels, height, width], kept as bytes and given out from 0 to 1, classes named
/// @throws file_error naming the file that is no image or of another size, or the folder without images
inline dataset image_folder(const std::string& folder, int channels = 3) {
  if (channels != 1 && channels != 3)
    throw error("the number of channels is out of range", "image_folder", std::to_string(channels), "1 or 3");
  const std::vector<std::string> classes = detail::sorted_entries(folder);
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  int height = 0, width = 0;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const std::string of_class = folder + '/' + classes[label];
    for (const std::string& name : detail::sorted_entries(of_class)) {
      detail::append_image(of_class + '/' + name, channels, height, width, pixels);
      labels.push_back(static_cast<std::int32_t>(label));
    }
  }
  if (labels.empty())
    throw file_error("the folder holds no images", folder, std::to_string(classes.size()) + " class folders",
                     "one folder of PNG or JPEG files a class");
  return dataset::own(std::move(pixels), {channels, height, width}, std::move(labels), static_cast<int>(classes.size()))
      .scaled(1.0 / 255, 0)
      .named(classes);
}

#else

template <class Missing = void>
dataset image_folder(const std::string&, int = 3) {
  static_assert(!std::is_void_v<Missing>, "image_folder needs <stb/stb_image.h>: install Debian's libstb-dev");
}

#endif

}  // namespace vivace::inline VIVACE_TARGET::data
