// Every kind of bad file has its own reason, and its path in the message.
#include <array>
#include <fstream>
#include <functional>
#include <numeric>
#include <optional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stages/decode/clip_decoder.h"
#include "stages/decode/probe.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using test::SyntheticStream;
using test::TemporaryFolder;
using test::write_media;
using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
  std::string reason = "no error";
  std::string message;
};

Outcome outcome(const MediaSegment& media, const DecodeLimits& limits = {}) {
  const ClipDecoder decode({.clip_len = 16}, preprocess_preset("demo"), limits);
  try {
    decode({.media = media});
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                testing::AnyOf(StartsWith(media.path + ": "), StartsWith(media.path + "/")));
    return {std::string(to_string(error.reason())), error.what()};
  }
  return {};
}

std::string write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

TEST(BadMedia, Missing) {
  const TemporaryFolder folder;
  EXPECT_EQ(outcome({folder / "absent.mp4"}).reason, "missing");
  // A folder on the way that is a file.
  write_text(folder / "file", "x");
  EXPECT_EQ(outcome({folder / "file/clip.mp4"}).reason, "missing");
}

TEST(BadMedia, Empty) {
  const TemporaryFolder folder;
  EXPECT_EQ(outcome({write_text(folder / "empty.mp4", "")}).reason, "empty");
}

TEST(BadMedia, FolderPipeOrDevice) {
  const TemporaryFolder folder;
  EXPECT_EQ(outcome({folder.path()}).reason, "unreadable");
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(outcome({pipe}).reason, "unreadable");  // and does not wait for a writer
  EXPECT_EQ(outcome({"/dev/zero"}).reason, "unreadable");
}

/// Runs a check in a process of another user, to whom permissions mean something.
/// @return what it says; nothing where that is impossible
std::optional<std::string> as_nobody(const std::function<std::string()>& check) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return {};
  const pid_t child = fork();
  if (child < 0) return {};
  if (child == 0) {
    if (geteuid() == 0 && seteuid(65534) != 0) _exit(1);
    std::string said = check();
    if (testing::Test::HasFailure()) said = "an expectation failed";
    const bool is_written = write(ends[1], said.data(), said.size()) >= 0;
    _exit(is_written ? 0 : 1);
  }
  close(ends[1]);
  std::array<char, 64> said{};
  const ssize_t size = read(ends[0], said.data(), said.size());
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || size < 0) return {};
  return std::string(said.data(), static_cast<std::size_t>(size));
}

TEST(BadMedia, WhatMayNotBeReadIsUnreadable) {
  const TemporaryFolder folder;
  namespace fs = std::filesystem;
  fs::permissions(folder.path(), fs::perms::all);
  const std::string video = folder / "a.mkv";
  write_media(video, {{}});
  const PictureSequence sequence{.prefix = "f", .digits = 3, .suffix = ".jpg"};
  test::write_pictures(folder / "pictures", sequence, 3);
  test::write_pictures(folder / "closed", sequence, 3);
  fs::create_directory(folder / "pieces");
  fs::copy_file(video, folder / "pieces/0.mkv");
  MediaSegment pictures{.path = folder / "pictures", .pictures = sequence};
  MediaSegment closed{.path = folder / "closed", .pictures = sequence};
  const MediaSegment pieces{.path = folder / "pieces", .in_pieces = true};
  for (const auto& path : {fs::path(video), folder / "pictures/f002.jpg", folder / "closed",
                           folder / "pieces/0.mkv"}) {
    fs::permissions(path, fs::perms::none);
  }
  const auto said = as_nobody([&] {
    const auto header = [](const MediaSegment& media) {
      try {
        probe_header(media);
      } catch (const DataError& error) {
        return std::string(to_string(error.reason()));
      }
      return std::string("no error");
    };
    if (outcome(pieces).reason != "unreadable" || header({video}) != "unreadable") return "pieces";
    if (outcome(pictures).reason != "unreadable") return "pictures";
    if (outcome(closed).reason != "unreadable") return "closed folder";
    if (outcome({video}).reason != "unreadable") return "video";
    return "all are unreadable";
  });
  fs::permissions(folder / "closed", fs::perms::all);
  if (!said) GTEST_SKIP() << "cannot become another user";
  EXPECT_EQ(*said, "all are unreadable");
}

TEST(BadMedia, LinksThatLeadNowhere) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("a.mp4", folder / "a.mp4");
  EXPECT_EQ(outcome({folder / "a.mp4"}).reason, "unreadable");
  std::filesystem::create_symlink("absent.mp4", folder / "b.mp4");
  EXPECT_EQ(outcome({folder / "b.mp4"}).reason, "missing");
  std::filesystem::create_directory(folder / "folder.mp4");
  EXPECT_EQ(outcome({folder / "folder.mp4"}).reason, "unreadable");
}

TEST(BadMedia, TextAndOtherFiles) {
  const TemporaryFolder folder;
  const std::string prose(5000, 'a');
  EXPECT_EQ(outcome({write_text(folder / "notes.txt", prose)}).reason, "unreadable");
  EXPECT_EQ(outcome({write_text(folder / "notes.mp4", prose)}).reason, "unreadable");
  EXPECT_EQ(outcome({write_text(folder / "page.mp4", "<!DOCTYPE html><html><body>Sign in</body>")})
                .reason,
            "unreadable");
  const Outcome json = outcome({write_text(folder / "a.mkv", R"({"error": 404})")});
  EXPECT_EQ(json.reason, "unreadable");
  EXPECT_THAT(json.message, HasSubstr("Invalid data"));
}

TEST(BadMedia, PlaylistsAreNotFollowed) {
  const TemporaryFolder folder;
  write_media(folder / "secret.ts", {{.encoder = "mpeg2video", .pixel_format = "yuv420p"}});
  for (const char* text : {"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.6,\n"
                           "secret.ts\n#EXT-X-ENDLIST\n",
                           "ffconcat version 1.0\nfile secret.ts\n"}) {
    const Outcome playlist = outcome({write_text(folder / "list.m3u8", text)});
    EXPECT_EQ(playlist.reason, "unreadable") << text;
    EXPECT_THAT(playlist.message, HasSubstr("a list of other files"));
  }
}

TEST(BadMedia, NoVideoStream) {
  const TemporaryFolder folder;
  const std::string path = folder / "sound.mkv";
  write_media(path, {{.kind = SyntheticStream::Kind::kAudio}});
  EXPECT_EQ(outcome({path}).reason, "no_video_stream");
  const std::string with_cover = folder / "album.flac";
  write_media(with_cover,
              {{.kind = SyntheticStream::Kind::kAudio}, {.kind = SyntheticStream::Kind::kCover}});
  EXPECT_EQ(outcome({with_cover}).reason, "no_video_stream");
}

TEST(BadMedia, NoFrames) {
  const TemporaryFolder folder;
  // MP4 and MOV files do not even keep the track.
  for (const auto& [name, reason] : {std::pair{"none.mkv", "empty"},
                                     {"none.avi", "empty"},
                                     {"none.mp4", "no_video_stream"},
                                     {"none.mov", "no_video_stream"}}) {
    const std::string path = folder / name;
    write_media(path, {{.frames = 0, .encoder = "mpeg4", .pixel_format = "yuv420p"}});
    const Outcome none = outcome({path});
    EXPECT_EQ(none.reason, reason) << none.message;
  }
}

TEST(BadMedia, TooShort) {
  const TemporaryFolder folder;
  const std::string path = folder / "short.mkv";
  write_media(path, {{.frames = 15}});
  const ClipDecoder decode({.clip_len = 16, .out_of_bound = OutOfBound::kError},
                           preprocess_preset("demo"));
  try {
    decode({.media = {path}});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kTooShort);
    EXPECT_THAT(error.what(), StartsWith(path + ": 15 frames are available"));
  }
}

TEST(BadMedia, TimeLimit) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.width = 640, .height = 480, .frames = 120}});
  const Outcome slow = outcome({path}, {.time_limit_s = 1e-4});
  EXPECT_EQ(slow.reason, "timeout");
  EXPECT_THAT(slow.message, HasSubstr("longer than the limit of 0.0001 s"));
}

TEST(BadMedia, AbsurdSize) {
  const TemporaryFolder folder;
  const std::string path = folder / "wide.mkv";
  write_media(path, {{.width = 640, .height = 480, .frames = 2}});
  const Outcome wide = outcome({path}, {.max_pixels = 640 * 480 - 1});
  EXPECT_NE(wide.reason, "no error");
  EXPECT_EQ(outcome({path}, {.max_pixels = 640 * 480}).reason, "no error");
}

TEST(BadMedia, TooManyBytesForOneClip) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{}});
  const Outcome large = outcome({path}, {.max_clip_bytes = 64 * 48 * 3 * 16 - 1});
  EXPECT_EQ(large.reason, "decode_error");
  EXPECT_THAT(large.message, HasSubstr("more than the limit of"));
}

TEST(BadMedia, TruncatedFilesSayWhereTheyStop) {
  const TemporaryFolder folder;
  for (const char* name : {"cut.mkv", "cut.avi", "cut.mp4", "index_first.mp4"}) {
    const std::string path = folder / name;
    write_media(path, {{.width = 320,
                        .height = 240,
                        .frames = 100,
                        .encoder = "mpeg4",
                        .pixel_format = "yuv420p"}});
    if (std::string(name) == "index_first.mp4") {
      const std::string command = "ffmpeg -v error -y -i '" + path +
                                  "' -c copy -movflags +faststart -f mp4 '" + path +
                                  ".new' 2>/dev/null && mv '" + path + ".new' '" + path + "'";
      if (std::system(command.c_str()) != 0) continue;  // the program is not installed
    }
    test::truncate_file(path, 0.5);
    const Outcome cut = outcome({path});
    EXPECT_THAT(cut.reason, testing::AnyOf("decode_error", "unreadable"))
        << name << ": " << cut.message;
  }
}

TEST(BadMedia, DamageToWantedFramesFailsTheClipAndNoOther) {
  if (!test::has_encoder("libx264")) GTEST_SKIP() << "this FFmpeg has no libx264";
  const TemporaryFolder folder;
  const std::string path = folder / "damaged.mp4";
  // Random textures would be better hidden; here each group of 10 frames is about 1/10 of the file.
  write_media(path, {{.width = 320,
                      .height = 240,
                      .frames = 100,
                      .encoder = "libx264",
                      .pixel_format = "yuv420p",
                      .gop = 10,
                      .b_frames = 2}});
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  test::blank_bytes(path, bytes / 2, bytes / 40);
  EXPECT_EQ(outcome({path, 0, 1.2}).reason, "no error");
  EXPECT_EQ(outcome({path, 3.0, 4.0}).reason, "no error");
  const Outcome damaged = outcome({path, 1.6, 2.24});
  EXPECT_EQ(damaged.reason, "decode_error");
  EXPECT_THAT(damaged.message, HasSubstr("cannot be decoded"));
}

TEST(BadMedia, ADamagedFrameIsNeverReplaced) {
  const TemporaryFolder folder;
  const std::string path = folder / "crc.mkv";
  // FFV1 carries a checksum for each slice, so that no damage can go unseen.
  write_media(
      path,
      {{.width = 160, .height = 120, .frames = 60, .options = "level=3:slicecrc=1", .gop = 1}});
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  std::mt19937 random(3);
  for (int trial = 0; trial < 20; ++trial) {
    const std::string copy = folder / "copy.mkv";
    std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
    test::blank_bytes(copy, bytes / 10 + random() % (bytes * 8 / 10), 200);
    std::int64_t good = 0;
    for (std::int64_t i = 0; i < 60; ++i) {
      Frames frame;
      int number = 0;
      try {
        VideoDecoder video({.path = copy});
        if (i >= static_cast<std::int64_t>(video.frame_times_s().size())) break;
        number = static_cast<int>(std::lround(video.frame_times_s()[i] * 25));
        video.decode(std::vector{i}, [&](std::int64_t, const Frames& given) { frame = given; });
      } catch (const DataError&) {
        continue;
      }
      ASSERT_TRUE(frame.rgb_thwc == test::synthetic_frame(number, 160, 120).rgb_thwc)
          << "trial " << trial << ", frame " << i;
      ++good;
    }
    EXPECT_GT(good, 0);
  }
}

TEST(BadMedia, RandomDamageNeverCrashes) {
  const TemporaryFolder folder;
  std::mt19937 random(11);
  for (const char* name : {"a.mp4", "a.mkv", "a.avi", "a.ts", "a.mpg"}) {
    const std::string path = folder / name;
    write_media(
        path, {{.frames = 30, .encoder = "mpeg2video", .pixel_format = "yuv420p", .b_frames = 2}});
    const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
    for (int trial = 0; trial < 40; ++trial) {
      const std::string copy = folder / ("copy_" + std::string(name));
      std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
      std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
      for (int i = 0; i < 20; ++i) {
        file.seekp(static_cast<std::int64_t>(random() % (trial < 20 ? 600 : bytes)));
        file.put(static_cast<char>(random()));
      }
      file.close();
      outcome({copy}, {.time_limit_s = 10});  // any outcome but a crash
    }
  }
}

TEST(BadMedia, TheDamagedRealClip) {
  const auto clip = test::test_data() / "clips" / "corrupted.mp4";
  CFP_SKIP_WITHOUT(clip);
  const Outcome damaged = outcome({clip});
  EXPECT_EQ(damaged.reason, "decode_error");
  EXPECT_THAT(damaged.message, HasSubstr("Invalid NAL unit size"));
  EXPECT_EQ(outcome({clip, 0.0, 2.0}).reason, "no error");
}

TEST(BadMedia, NothingIsPrinted) {
  const TemporaryFolder folder;
  testing::internal::CaptureStderr();
  outcome({write_text(folder / "notes.mp4", "no video")});
  const auto clip = test::test_data() / "clips" / "corrupted.mp4";
  if (std::filesystem::exists(clip)) outcome({clip});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace cfp
