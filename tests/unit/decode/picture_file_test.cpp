// Single pictures: formats, damage, and hostile files.
#include "stages/decode/picture_file.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "stages/decode/image_codec.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

std::string write_bytes(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return path;
}

Bytes jpeg_bytes() { return encode_jpeg(test::synthetic_frame(5, 64, 48).rgb_thwc.data(), 64, 48); }

Bytes png_bytes() { return encode_png(test::synthetic_frame(5, 64, 48).rgb_thwc.data(), 64, 48); }

std::string reason_of(const std::string& path, const DecodeLimits& limits = {}) {
  try {
    decode_picture(read_picture(path, limits), path, limits);
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith(path + ": "));
    return std::string(to_string(error.reason()));
  }
  return "no error";
}

TEST(PictureFile, IsToldByItsContentNotItsName) {
  const TemporaryFolder folder;
  const std::string png = write_bytes(folder / "really_png.jpg", png_bytes());
  EXPECT_EQ(read_picture(png, {}).codec, AV_CODEC_ID_PNG);
  EXPECT_EQ(reason_of(png), "no error");
  const std::string jpeg = write_bytes(folder / "really_jpeg.png", jpeg_bytes());
  const PictureFile file = read_picture(jpeg, {});
  EXPECT_EQ(file.codec, AV_CODEC_ID_MJPEG);
  EXPECT_EQ(file.width, 64);
  EXPECT_EQ(file.height, 48);
}

TEST(PictureFile, BadFilesHaveTheirReasons) {
  const TemporaryFolder folder;
  EXPECT_EQ(reason_of(folder / "absent.jpg"), "decode_error");
  EXPECT_EQ(reason_of(write_bytes(folder / "empty.jpg", {})), "empty");
  EXPECT_EQ(reason_of(write_bytes(folder / "text.jpg", Bytes(500, 'a'))), "unreadable");
  EXPECT_EQ(reason_of(folder.path()), "unreadable");
  const std::string pipe = folder / "pipe.jpg";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(reason_of(pipe), "unreadable");  // and does not wait for a writer
  const std::string loop = folder / "loop.jpg";
  std::filesystem::create_symlink("loop.jpg", loop);
  EXPECT_EQ(reason_of(loop), "unreadable");
  const std::string jpeg = write_bytes(folder / "a.jpg", jpeg_bytes());
  EXPECT_EQ(reason_of(jpeg, {.max_pixels = 64 * 48 - 1}), "unreadable");
  EXPECT_EQ(reason_of(jpeg, {.max_pixels = 64 * 48}), "no error");
}

TEST(PictureFile, CutOffPicturesAreNeverFilledUp) {
  const TemporaryFolder folder;
  for (const Bytes& whole : {jpeg_bytes(), png_bytes()}) {
    // Each length near both ends, and some between.
    for (std::size_t size = 1; size < whole.size();
         size += size < 100 || size + 100 > whole.size() ? 1 : 37) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const std::string reason = reason_of(write_bytes(folder / "cut", part));
      EXPECT_EQ(reason, size < 8 ? reason : "decode_error") << size << " of " << whole.size();
      EXPECT_NE(reason, "no error") << size << " of " << whole.size();
    }
  }
}

TEST(PictureFile, PicturesThatLackRowsAreRefusedThoughTheyHaveAnEnd) {
  const TemporaryFolder folder;
  const Bytes jpeg = jpeg_bytes();
  const Bytes png = png_bytes();
  for (const double part : {0.5, 0.7, 0.9}) {
    Bytes cut(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(part * jpeg.size()));
    cut.insert(cut.end(), {0xFF, 0xD9});
    EXPECT_EQ(reason_of(write_bytes(folder / "cut.jpg", cut)), "decode_error") << part;
    // PNG: a hole of zeros, which the check sums tell.
    Bytes holed = png;
    holed[static_cast<std::size_t>(part * static_cast<double>(png.size()))] ^= 0x55;
    EXPECT_EQ(reason_of(write_bytes(folder / "holed.png", holed)), "decode_error") << part;
  }
}

TEST(PictureFile, RandomDamageNeverCrashes) {
  const TemporaryFolder folder;
  std::mt19937 random(17);
  for (const Bytes& whole : {jpeg_bytes(), png_bytes()}) {
    for (int trial = 0; trial < 300; ++trial) {
      Bytes damaged = whole;
      for (int i = 0; i < 4; ++i) {
        damaged[random() % (trial < 150 ? 200 : damaged.size())] =
            static_cast<std::uint8_t>(random());
      }
      reason_of(write_bytes(folder / "damaged", damaged));  // any outcome but a crash
    }
  }
}

TEST(PictureFile, MetadataDoNotMatter) {
  const TemporaryFolder folder;
  const Bytes jpeg = jpeg_bytes();
  // EXIF that is nonsense, and EXIF that asks for a quarter turn, behind the first marker.
  const Bytes nonsense = {0xFF, 0xE1, 0x00, 0x0A, 'E', 'x', 'i', 'f', 0, 0, 0xFF, 0xD9};
  const Bytes turned = {0xFF, 0xE1, 0x00, 0x22, 'E',  'x',  'i',  'f',  0,    0,    'M',  'M',
                        0x00, 0x2A, 0x00, 0x00, 0x00, 0x08, 0x00, 0x01, 0x01, 0x12, 0x00, 0x03,
                        0x00, 0x00, 0x00, 0x01, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  for (const Bytes& metadata : {nonsense, turned}) {
    Bytes bytes = jpeg;
    bytes.insert(bytes.begin() + 2, metadata.begin(), metadata.end());
    const std::string path = write_bytes(folder / "exif.jpg", bytes);
    ASSERT_EQ(reason_of(path), "no error");
    const AvFramePtr picture = decode_picture(read_picture(path, {}), path, {});
    EXPECT_EQ(picture->width, 64);
    EXPECT_EQ(picture->height, 48);
  }
}

TEST(PictureFile, WhatFollowsThePictureIsIgnored) {
  const TemporaryFolder folder;
  for (const Bytes& whole : {jpeg_bytes(), png_bytes()}) {
    Bytes longer = whole;
    longer.insert(longer.end(), 1000, 0xFF);
    EXPECT_EQ(reason_of(write_bytes(folder / "longer", longer)), "no error");
  }
}

}  // namespace
}  // namespace cfp
