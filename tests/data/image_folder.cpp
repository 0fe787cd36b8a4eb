#include <doctest/doctest.h>

#if __has_include(<stb/stb_image.h>) && __has_include(<stb/stb_image_write.h>)
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#include <cmath>
#include <vivace/data/image_folder.hpp>

#include "../io/files.hpp"
#include "laws.hpp"

namespace data = vivace::data;
using files::contains;

namespace {

/// Two classes: cat with two images of height 3 and width 5, dog with one.
struct pets {
  files::temporary_folder folder;
  pets() {
    for (const char* one : {"dog", "cat"}) std::filesystem::create_directory(folder / one);
    png("cat/b.png", 3, 5, 100);
    png("cat/a.png", 3, 5, 0);
    const std::vector<unsigned char> flat(3 * 5 * 3, 51);
    stbi_write_jpg((folder / "dog/a.jpg").c_str(), 5, 3, 3, flat.data(), 95);
    files::write(folder / "cat/.hidden", "x");
  }
  void png(const std::string& name, int height, int width, int first) const {
    std::vector<unsigned char> pixels;
    for (int i = 0; i < height * width * 3; ++i) pixels.push_back(static_cast<unsigned char>(first + i));
    stbi_write_png((folder / name).c_str(), width, height, 3, pixels.data(), 3 * width);
  }
  std::string refusal(int channels = 3) const {
    return files::message_of<vivace::error>([&] { data::image_folder(folder.path(), channels); });
  }
};

}  // namespace

TEST_CASE("image_folder: classes and files in the order of their names, channels first") {
  const pets at;
  const data::dataset set = data::image_folder(at.folder.path());
  CHECK(set.size() == 3);
  CHECK(set.sample_shape() == vivace::shape{3, 3, 5});
  CHECK(set.class_names()[0] == "cat");
  CHECK(set.label(1) == 0);
  CHECK(set.label(2) == 1);
  std::vector<float> images(3 * 45);
  const std::uint32_t all[] = {0, 1, 2};
  set.gather(std::span<const std::uint32_t>(all), images.data());
  for (int channel = 0; channel < 3; ++channel)
    for (int i = 0; i < 15; ++i) {
      const auto at_index = static_cast<std::size_t>(channel * 15 + i);
      CHECK(images[at_index] == doctest::Approx((3 * i + channel) / 255.0));
      CHECK(images[45 + at_index] == doctest::Approx((100 + 3 * i + channel) / 255.0));
      CHECK(std::abs(images[90 + at_index] - 0.2F) < 0.02F);
    }
  CHECK(data::image_folder(at.folder.path(), 1).sample_shape() == vivace::shape{1, 3, 5});
  laws::check_source(set);
}

TEST_CASE("image_folder: every refusal names the file") {
  const pets at;
  CHECK(contains(at.refusal(2), "needs: 1 or 3"));
  at.png("dog/z.png", 4, 5, 0);
  CHECK(contains(at.refusal(), "the images differ in size\n  where: " + at.folder.path() + "/dog/z.png"));
  CHECK(contains(at.refusal(), "got:   height 4, width 5\n  needs: height 3, width 5, as the first image"));
  files::write(at.folder / "dog/z.png", "no image");
  CHECK(contains(at.refusal(), "cannot read the image\n  where: " + at.folder.path() + "/dog/z.png"));
  files::write(at.folder / "dog/z.png", files::read(at.folder / "cat/a.png").substr(0, 60));
  CHECK(contains(at.refusal(), "a PNG or JPEG file that is complete"));
  std::filesystem::remove(at.folder / "dog/z.png");
  files::write(at.folder / "readme.txt", "x");
  CHECK(contains(at.refusal(), "cannot list the folder\n  where: " + at.folder.path() + "/readme.txt"));
  const files::temporary_folder empty;
  const auto text = files::message_of<vivace::file_error>([&] { data::image_folder(empty.path()); });
  CHECK(contains(text, "got:   0 class folders\n  needs: one folder of PNG or JPEG files a class"));
}

#else

TEST_CASE("image_folder: stb_image") { MESSAGE("skipped: install libstb-dev"); }

#endif
