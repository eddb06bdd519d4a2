#include "datasets/moving_shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include <gmock/gmock.h>

#include "stages/core/errors.h"
#include "stages/core/formula.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::message_of;
using testing::HasSubstr;

constexpr int kClips = 200;  // twenty of each class
const MovingShapesOptions kOptions{.count = kClips, .seed = 3, .split = "test"};

struct FrameFacts {
  std::int64_t area = 0;  ///< pixels of the actor
  double x = 0, y = 0;    ///< its centre; 0 where it is not to be seen
  bool touches_edge = false;
};

/// What the masks say of a clip, frame by frame.
std::vector<FrameFacts> facts_of(const MovingShapesOptions& options, std::int64_t index) {
  const std::vector<std::uint8_t> mask_thw = moving_shapes_mask(options, index);
  std::vector<FrameFacts> facts(static_cast<std::size_t>(options.clip_len));
  std::size_t i = 0;
  for (FrameFacts& frame : facts) {
    for (int y = 0; y < options.size; ++y) {
      for (int x = 0; x < options.size; ++x, ++i) {
        if (mask_thw[i] == 0) continue;
        ++frame.area;
        frame.x += x;
        frame.y += y;
        frame.touches_edge |= x == 0 || y == 0 || x == options.size - 1 || y == options.size - 1;
      }
    }
    if (frame.area > 0) {
      frame.x /= static_cast<double>(frame.area);
      frame.y /= static_cast<double>(frame.area);
    }
  }
  return facts;
}

std::uint64_t hash_of(const MovingShapesOptions& options, std::int64_t index) {
  const Frames frames = render_moving_shapes(options, index);
  return fnv1a64({reinterpret_cast<const char*>(frames.rgb_thwc.data()), frames.rgb_thwc.size()});
}

TEST(MovingShapes, DrawsTheSamePixelsOnEveryMachine) {
  // The numbers are what g++ -O3, g++ -O0, clang++ -O3 and -march=native made alike. They change
  // with the generator only: then raise kMovingShapesVersion and train the demo network anew.
  static_assert(kMovingShapesVersion == 1);
  std::uint64_t all = 0;
  for (int i = 0; i < 40; ++i) all = mix64(all ^ hash_of(kOptions, i));
  EXPECT_EQ(all, 593458888607152833u);
  const MovingShapesOptions large{
      .count = 10, .clip_len = 33, .size = 130, .seed = 9, .split = "val"};
  EXPECT_EQ(hash_of(large, 4), 13080077747374033730u);
}

TEST(MovingShapes, DependsOnSeedSplitAndIndexAloneNotOnTheCount) {
  MovingShapesOptions more = kOptions;
  more.count = 100'000;
  EXPECT_EQ(hash_of(kOptions, 17), hash_of(more, 17));
  std::set<std::uint64_t> hashes;
  for (const char* split : {"train", "val", "test"}) {
    for (const std::uint64_t seed : {0, 1, 2}) {
      for (int i = 0; i < 20; ++i) hashes.insert(hash_of({.seed = seed, .split = split}, i));
    }
  }
  EXPECT_EQ(hashes.size(), 3u * 3u * 20u) << "two of them are the same clip";
}

TEST(MovingShapes, MasksAreExactlyThePixelsOfTheActor) {
  for (int index = 0; index < kClips; ++index) {
    const Frames frames = render_moving_shapes(kOptions, index);
    const std::vector<std::uint8_t> mask_thw = moving_shapes_mask(kOptions, index);
    ASSERT_EQ(mask_thw.size() * 3, frames.rgb_thwc.size());
    const std::size_t plane = static_cast<std::size_t>(kOptions.size) * kOptions.size;
    // One colour inside; outside, every pixel is what it is in all frames that do not cover it.
    std::optional<std::array<std::uint8_t, 3>> actor;
    std::vector<std::optional<std::array<std::uint8_t, 3>>> still(plane);
    std::int64_t wrong = 0;
    for (std::size_t i = 0; i < mask_thw.size(); ++i) {
      const std::uint8_t* rgb = frames.rgb_thwc.data() + i * 3;
      const std::array<std::uint8_t, 3> pixel{rgb[0], rgb[1], rgb[2]};
      auto& expected = mask_thw[i] != 0 ? actor : still[i % plane];
      if (!expected) expected = pixel;
      wrong += *expected != pixel ? 1 : 0;
    }
    EXPECT_EQ(wrong, 0) << "clip " << index;
    // 60 levels from the background's colour, whose texture spans 30; rounding may take one. The
    // first line of pixels is background alone: no shape touches the edge.
    ASSERT_TRUE(actor.has_value());
    for (std::size_t i = 0; i < static_cast<std::size_t>(kOptions.size); ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        ASSERT_GE(std::abs((*actor)[c] - still[i].value()[c]), 29) << "clip " << index;
      }
    }
  }
}

TEST(MovingShapes, ActorsDoWhatTheirClassSays) {
  const auto& names = moving_shapes_class_names();
  for (int index = 0; index < kClips; ++index) {
    SCOPED_TRACE("clip " + std::to_string(index));
    const std::string& name = names[static_cast<std::size_t>(moving_shapes_label(index))];
    const std::vector<FrameFacts> facts = facts_of(kOptions, index);
    const FrameFacts &first = facts.front(), &last = facts.back();
    const auto steps = [&](auto holds) {
      for (std::size_t t = 1; t < facts.size(); ++t) {
        if (!holds(facts[t - 1], facts[t])) return false;
      }
      return true;
    };
    for (const FrameFacts& frame : facts) EXPECT_FALSE(frame.touches_edge);
    if (name.starts_with("translate")) {
      const bool horizontal = name.ends_with("left") || name.ends_with("right");
      const double sign = name.ends_with("right") || name.ends_with("down") ? 1 : -1;
      const auto way = [&](const FrameFacts& a, const FrameFacts& b) {
        return sign * (horizontal ? b.x - a.x : b.y - a.y);
      };
      const auto aside = [&](const FrameFacts& a, const FrameFacts& b) {
        return std::abs(horizontal ? b.y - a.y : b.x - a.x);
      };
      // Twelve pixels radius leave 38 of room; 0.6 of it in 15 steps is 1.5 a step. Which pixels
      // count jitters the centre by less than half a pixel.
      EXPECT_TRUE(steps([&](const auto& a, const auto& b) { return way(a, b) > 0.8; }));
      EXPECT_GT(way(first, last), 20);
      EXPECT_TRUE(steps([&](const auto& a, const auto& b) { return aside(a, b) < 0.5; }));
    } else if (name == "grow" || name == "shrink") {
      const double sign = name == "grow" ? 1 : -1;
      EXPECT_TRUE(
          steps([&](const auto& a, const auto& b) { return sign * double(b.area - a.area) >= 0; }));
      // Radii differ by 0.55 at least: areas by more than two.
      EXPECT_GT(sign * std::log(double(last.area) / double(first.area)), std::log(2.0));
    } else if (name == "rotate") {
      // About the centre of the shape's pixels, which differs from the shape's by less than a
      // pixel.
      for (const FrameFacts& frame : facts) {
        EXPECT_NEAR(frame.x, first.x, 1);
        EXPECT_NEAR(frame.y, first.y, 1);
      }
      const auto mask = moving_shapes_mask(kOptions, index);
      const auto plane = static_cast<std::ptrdiff_t>(mask.size() / facts.size());
      for (std::ptrdiff_t t = 1; t < kOptions.clip_len; ++t) {
        EXPECT_FALSE(std::equal(mask.begin() + (t - 1) * plane, mask.begin() + t * plane,
                                mask.begin() + t * plane));
      }
    } else if (name == "blink") {
      std::set<std::int64_t> areas;
      for (const FrameFacts& frame : facts) areas.insert(frame.area);
      EXPECT_EQ(areas.size(), 2u);
      EXPECT_EQ(*areas.begin(), 0);
    } else {
      EXPECT_TRUE(steps([](const auto& a, const auto& b) {
        return a.area == b.area && a.x == b.x && a.y == b.y;
      }));
      // A ring has a hole at its centre, a cross does not.
      const auto mask = moving_shapes_mask(kOptions, index);
      const auto centre =
          static_cast<std::size_t>(std::lround(first.y) * kOptions.size + std::lround(first.x));
      EXPECT_EQ(mask[centre], name == "still cross" ? 1 : 0);
    }
    if (name != "blink") {
      EXPECT_GT(std::min(first.area, last.area), 5);
    }
  }
}

TEST(MovingShapes, OneFrameDoesNotTellTheMotion) {
  // Where actors are, how large and of which colour must be spread alike over the motion classes:
  // their means over many clips, one frame each, must be near to each other.
  constexpr int kMany = 2000;
  const MovingShapesOptions many{.count = kMany, .seed = 5, .split = "train"};
  std::array<double, 8> x{}, y{};
  std::array<int, 8> seen{};
  for (int index = 0; index < kMany; ++index) {
    const auto label = static_cast<std::size_t>(moving_shapes_label(index));
    if (label >= 8) continue;
    const FrameFacts frame = facts_of(many, index)[8];
    if (frame.area == 0) continue;
    x[label] += frame.x;
    y[label] += frame.y;
    ++seen[label];
  }
  for (std::size_t label = 0; label < 8; ++label) {
    // The centre is 32; positions spread by about 11, so the mean of 100 clips by 1.1: 4 of these.
    EXPECT_NEAR(x[label] / seen[label], 31.5, 4.5) << moving_shapes_class_names()[label];
    EXPECT_NEAR(y[label] / seen[label], 31.5, 4.5) << moving_shapes_class_names()[label];
  }
}

TEST(MovingShapes, TakesOtherSizesAndLengths) {
  for (const int size : {32, 50, 128}) {
    const MovingShapesOptions options{.count = 20, .clip_len = 40, .size = size};
    for (int index = 0; index < 20; ++index) {
      const Frames frames = render_moving_shapes(options, index);
      ASSERT_EQ(frames.rgb_thwc.size(), std::size_t{40} * size * size * 3);
      for (const FrameFacts& frame : facts_of(options, index)) EXPECT_FALSE(frame.touches_edge);
    }
  }
}

TEST(MovingShapes, RefusesOptionsOutOfRange) {
  const auto refusal = [](const MovingShapesOptions& options, std::int64_t index = 0) {
    return message_of<ConfigError>([&] { render_moving_shapes(options, index); });
  };
  EXPECT_THAT(refusal({.count = 0}), HasSubstr("count is 0; allowed is 1 to 1000000"));
  EXPECT_THAT(refusal({.clip_len = 8}), HasSubstr("clip_len is 8"));
  EXPECT_THAT(refusal({.clip_len = 1 << 30}), HasSubstr("allowed is 16 to 256"));
  EXPECT_THAT(refusal({.size = 65}), HasSubstr("size is 65; it must be even"));
  EXPECT_THAT(refusal({.size = 1 << 30}), HasSubstr("allowed is 32 to 512"));
  EXPECT_THAT(refusal({.split = "dev"}), HasSubstr("split is 'dev'"));
  EXPECT_THAT(refusal({.count = 10}, 10), HasSubstr("no clip 10: there are clips 0 to 9"));
  EXPECT_THAT(refusal({.count = 10}, -1), HasSubstr("no clip -1"));
}

}  // namespace
}  // namespace cfp
