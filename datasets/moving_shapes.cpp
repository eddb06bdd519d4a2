#include "datasets/moving_shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/core/formula.h"

namespace cfp {
namespace {

// Note [Same pixels everywhere]
// Drawing uses + - * / sqrt() and floor() of doubles alone, which IEEE 754
// fixes to the last bit: no sin(), whose last bit depends on the C library, no std::*_distribution,
// whose algorithm depends on the C++ library. Rotations come from the half-angle's tangent u as
// ((1 - u^2) / (1 + u^2), 2u / (1 + u^2)). The build keeps the compiler from fusing a*b+c.

enum MovingShapesClass {
  kLeft,
  kRight,
  kUp,
  kDown,
  kRotate,
  kGrow,
  kShrink,
  kBlink,
  kStillCross,
  kStillRing,
  kClassCount
};

enum class Shape { kSquare, kTriangle, kBar, kDisc, kCross, kRing };

/// Lengths are given for 64 x 64 pixels and scale with the size of the frame.
constexpr double kReferenceSize = 64;
constexpr double kMargin = 1.0;  ///< pixels of the reference between a shape and the frame's edge

using Colour = std::array<double, 3>;

/// Consecutive elements of a stream.
class Draws {
 public:
  explicit Draws(const FormulaStream& stream) : stream_(stream) {}
  double between(double low, double high) { return low + (high - low) * stream_.uniform(next_++); }
  int below(int count) {
    return std::min(count - 1, static_cast<int>(between(0, static_cast<double>(count))));
  }

 private:
  FormulaStream stream_;
  std::uint64_t next_ = 0;
};

/// A direction as cosine and sine.
struct Rotation {
  double cosine = 1, sine = 0;

  static Rotation from_half_tangent(double u) {
    return {(1 - u * u) / (1 + u * u), 2 * u / (1 + u * u)};
  }
  Rotation then(const Rotation& other) const {
    return {cosine * other.cosine - sine * other.sine, sine * other.cosine + cosine * other.sine};
  }
};

/// A shape in one frame, in pixels.
struct Pose {
  double x = 0, y = 0;
  double radius = 0;  ///< no part of the shape is farther from (x, y)
  Rotation rotation;
  bool visible = true;
};

struct Scene {
  Shape actor_shape = Shape::kSquare;
  std::vector<Pose> actor;  ///< one a frame
  Shape distractor_shape = Shape::kSquare;
  Pose distractor;
  Colour background{}, actor_colour{}, distractor_colour{};
};

std::string stream_name(const MovingShapesOptions& options, std::int64_t index,
                        std::string_view part) {
  return fmt::format("moving_shapes/{}/{}/{}", options.split, index, part);
}

/// @return whether (u, v), in units of the shape's radius, lies inside an unrotated shape
bool inside(Shape shape, double u, double v) {
  const double a = std::abs(u), b = std::abs(v);
  const double square = u * u + v * v;
  switch (shape) {
    case Shape::kSquare:
      return a <= 0.7 && b <= 0.7;
    case Shape::kTriangle:
      return v <= 0.5 && 1.732 * a - v <= 1;
    case Shape::kBar:
      return a <= 0.94 && b <= 0.34;
    case Shape::kDisc:
      return square <= 0.85 * 0.85;
    case Shape::kCross:
      return (a <= 0.94 && b <= 0.3) || (b <= 0.94 && a <= 0.3);
    case Shape::kRing:
      return square <= 0.95 * 0.95 && square >= 0.55 * 0.55;
  }
  return false;
}

/// @return whether the centre of pixel (column, row) lies inside the shape
bool covers(Shape shape, const Pose& pose, int column, int row) {
  const double dx = (column + 0.5 - pose.x) / pose.radius;
  const double dy = (row + 0.5 - pose.y) / pose.radius;
  const Rotation& r = pose.rotation;
  return inside(shape, r.cosine * dx + r.sine * dy, r.cosine * dy - r.sine * dx);
}

/// Calls `paint(row, column)` for every pixel of the shape.
template <class Paint>
void for_each_pixel(Shape shape, const Pose& pose, int size, Paint paint) {
  if (!pose.visible) return;
  const auto clamp = [size](double value) {
    return static_cast<int>(std::clamp(value, 0.0, static_cast<double>(size)));
  };
  const int row_end = clamp(pose.y + pose.radius + 1), column_end = clamp(pose.x + pose.radius + 1);
  for (int row = clamp(pose.y - pose.radius - 1); row < row_end; ++row) {
    for (int column = clamp(pose.x - pose.radius - 1); column < column_end; ++column) {
      if (covers(shape, pose, column, row)) paint(row, column);
    }
  }
}

Shape draw_actor_shape(int label, Draws& draws) {
  if (label == kStillCross) return Shape::kCross;
  if (label == kStillRing) return Shape::kRing;
  constexpr std::array kShapes{Shape::kSquare, Shape::kTriangle, Shape::kBar, Shape::kDisc};
  // A disc that rotates would look still.
  const int choices = label == kRotate ? 3 : 4;
  return kShapes.at(static_cast<std::size_t>(draws.below(choices)));
}

/// Puts the shape on its way from `draws`; every draw is made whatever the class, in one order.
std::vector<Pose> draw_actor_path(const MovingShapesOptions& options, int label, Draws& draws) {
  const double size = options.size, unit = size / kReferenceSize;
  const double large = draws.between(7.5, 12) * unit;
  const double small_share = draws.between(0.4, 0.55);
  const double room = size - 2 * (large + kMargin * unit);  // for the centre, along one axis
  const double travel = draws.between(0.6, 0.95) * room;
  const double along = draws.between(0, 1), across = draws.between(0, 1);
  const Rotation start = Rotation::from_half_tangent(draws.between(-1, 1));
  // tan(0.09) and tan(0.17): 0.18 to 0.34 rad a frame, either way.
  const double turn_size = draws.between(0.0902, 0.1717);
  const double turn = draws.below(2) == 0 ? turn_size : -turn_size;
  const int frames_on = 2 + draws.below(3), frames_off = 2 + draws.below(3);
  const int phase = draws.below(frames_on + frames_off);

  const double origin = large + kMargin * unit;
  const bool moves_in_x = label == kLeft || label == kRight;
  const bool moves_in_y = label == kUp || label == kDown;
  std::vector<Pose> path(static_cast<std::size_t>(options.clip_len));
  Rotation rotation = start;
  for (int t = 0; t < options.clip_len; ++t) {
    const double share = static_cast<double>(t) / (options.clip_len - 1);  // 0 at the start, 1 last
    const double way = (label == kLeft || label == kUp) ? 1 - share : share;
    const double moving = origin + along * (room - travel) + way * travel;
    Pose& pose = path[static_cast<std::size_t>(t)];
    pose.x = moves_in_x ? moving : origin + (moves_in_y ? across : along) * room;
    pose.y = moves_in_y ? moving : origin + across * room;
    const double grown = label == kGrow ? share : label == kShrink ? 1 - share : 1;
    pose.radius = large * (small_share + (1 - small_share) * grown);
    pose.rotation = rotation;
    if (label == kRotate) rotation = rotation.then(Rotation::from_half_tangent(turn));
    pose.visible = label != kBlink || (t + phase) % (frames_on + frames_off) < frames_on;
  }
  return path;
}

/// Distance from the shape's circle to the nearest point of any frame's actor circle, in pixels.
double clearance(const Pose& pose, const std::vector<Pose>& path) {
  double nearest = std::numeric_limits<double>::infinity();
  for (const Pose& other : path) {
    const double dx = pose.x - other.x, dy = pose.y - other.y;
    nearest = std::min(nearest, std::sqrt(dx * dx + dy * dy) - pose.radius - other.radius);
  }
  return nearest;
}

/// A still shape beside the actor's way; where no try finds such a place, the farthest one tried.
Pose draw_distractor(const MovingShapesOptions& options, const std::vector<Pose>& path,
                     Draws& draws) {
  constexpr int kTries = 64;
  const double unit = options.size / kReferenceSize;
  Pose pose;
  pose.radius = draws.between(5, 8) * unit;
  pose.rotation = Rotation::from_half_tangent(draws.between(-1, 1));
  const double origin = pose.radius + kMargin * unit;
  Pose best = pose;
  double best_clearance = -std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt < kTries && best_clearance < unit; ++attempt) {
    pose.x = draws.between(origin, options.size - origin);
    pose.y = draws.between(origin, options.size - origin);
    if (const double c = clearance(pose, path); c > best_clearance) {
      best_clearance = c;
      best = pose;
    }
  }
  return best;
}

/// A colour at least 60 levels from the background in every channel: texture spans at most 30.
Colour draw_contrasting_colour(const Colour& background, Draws& draws) {
  Colour colour{};
  for (std::size_t c = 0; c < 3; ++c) {
    const double offset = draws.between(60, 90);
    colour[c] = background[c] + (draws.below(2) == 0 ? offset : -offset);
  }
  return colour;
}

Scene make_scene(const MovingShapesOptions& options, std::int64_t index) {
  options.check();
  if (index < 0 || index >= options.count) {
    throw ConfigError(fmt::format("moving_shapes has no clip {}: there are clips 0 to {}", index,
                                  options.count - 1));
  }
  const int label = moving_shapes_label(index);
  Draws draws(FormulaStream(options.seed, stream_name(options, index, "scene")));
  Scene scene;
  for (double& channel : scene.background) channel = draws.between(90, 165);
  scene.actor_colour = draw_contrasting_colour(scene.background, draws);
  scene.distractor_colour = draw_contrasting_colour(scene.background, draws);
  scene.actor_shape = draw_actor_shape(label, draws);
  // The distractor never is a cross or a ring: those two are told by being there.
  scene.distractor_shape = draw_actor_shape(kBlink, draws);
  scene.actor = draw_actor_path(options, label, draws);
  scene.distractor = draw_distractor(options, scene.actor, draws);
  return scene;
}

/// Smooth noise in -1..1: values at the corners of square cells, blended between them.
double value_noise(const FormulaStream& stream, double x, double y) {
  constexpr std::uint64_t kLatticeWidth = 4096;  // more cells than any frame has along one axis
  const double column = std::floor(x), row = std::floor(y);
  const auto at = [&](int right, int down) {
    const auto element =
        (static_cast<std::uint64_t>(row) + static_cast<std::uint64_t>(down)) * kLatticeWidth +
        static_cast<std::uint64_t>(column) + static_cast<std::uint64_t>(right);
    return 2.0 * stream.uniform(element) - 1.0;
  };
  const auto smooth = [](double t) { return t * t * (3 - 2 * t); };
  const double right = smooth(x - column), down = smooth(y - row);
  const double top = at(0, 0) + (at(1, 0) - at(0, 0)) * right;
  const double bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * right;
  return top + (bottom - top) * down;
}

std::uint8_t to_level(double value) {
  return static_cast<std::uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0));
}

/// @return [size, size, 3]: the background colour, lighter and darker by up to 24 levels, and each
///         channel by up to 6 more
std::vector<std::uint8_t> draw_background(const MovingShapesOptions& options, std::int64_t index,
                                          const Colour& colour) {
  const double unit = options.size / kReferenceSize;
  const FormulaStream coarse(options.seed, stream_name(options, index, "coarse"));
  const FormulaStream fine(options.seed, stream_name(options, index, "fine"));
  const std::array<FormulaStream, 3> tints{
      FormulaStream(options.seed, stream_name(options, index, "red")),
      FormulaStream(options.seed, stream_name(options, index, "green")),
      FormulaStream(options.seed, stream_name(options, index, "blue"))};
  std::vector<std::uint8_t> rgb_hwc;
  rgb_hwc.reserve(static_cast<std::size_t>(options.size) * options.size * 3);
  for (int row = 0; row < options.size; ++row) {
    for (int column = 0; column < options.size; ++column) {
      const double x = (column + 0.5) / unit, y = (row + 0.5) / unit;
      const double light =
          16 * value_noise(coarse, x / 9, y / 9) + 8 * value_noise(fine, x / 3, y / 3);
      for (std::size_t c = 0; c < 3; ++c) {
        rgb_hwc.push_back(to_level(colour[c] + light + 6 * value_noise(tints[c], x / 12, y / 12)));
      }
    }
  }
  return rgb_hwc;
}

void paint_shape(std::uint8_t* rgb_hwc, int size, Shape shape, const Pose& pose,
                 const Colour& colour) {
  for_each_pixel(shape, pose, size, [&](int row, int column) {
    std::uint8_t* pixel = rgb_hwc + (static_cast<std::int64_t>(row) * size + column) * 3;
    for (std::size_t c = 0; c < 3; ++c) pixel[c] = to_level(colour[c]);
  });
}

void check_range(const char* option, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw ConfigError(
        fmt::format("moving_shapes: {} is {}; allowed is {} to {}", option, value, low, high));
  }
}

}  // namespace

void MovingShapesOptions::check() const {
  check_range("count", count, 1, 1'000'000);
  check_range("clip_len", clip_len, 16, 256);
  check_range("size", size, 32, 512);
  if (size % 2 != 0) {
    throw ConfigError(fmt::format(
        "moving_shapes: size is {}; it must be even, for video codecs halve the colour planes",
        size));
  }
  if (split != "train" && split != "val" && split != "test") {
    throw ConfigError(
        fmt::format("moving_shapes: split is '{}'; allowed are train, val and test", split));
  }
}

const std::vector<std::string>& moving_shapes_class_names() {
  static const std::vector<std::string> names{
      "translate left", "translate right", "translate up", "translate down", "rotate",
      "grow",           "shrink",          "blink",        "still cross",    "still ring"};
  return names;
}

int moving_shapes_label(std::int64_t index) { return static_cast<int>(index % kClassCount); }

Frames render_moving_shapes(const MovingShapesOptions& options, std::int64_t index) {
  const Scene scene = make_scene(options, index);
  std::vector<std::uint8_t> still = draw_background(options, index, scene.background);
  paint_shape(still.data(), options.size, scene.distractor_shape, scene.distractor,
              scene.distractor_colour);
  Frames frames;
  frames.length = options.clip_len;
  frames.height = frames.width = options.size;
  frames.rgb_thwc.resize(static_cast<std::size_t>(frames.length) * still.size());
  for (std::int64_t t = 0; t < frames.length; ++t) {
    std::ranges::copy(still, frames.frame(t));
    paint_shape(frames.frame(t), options.size, scene.actor_shape,
                scene.actor[static_cast<std::size_t>(t)], scene.actor_colour);
  }
  return frames;
}

std::vector<std::uint8_t> moving_shapes_mask(const MovingShapesOptions& options,
                                             std::int64_t index) {
  const Scene scene = make_scene(options, index);
  const std::int64_t plane = std::int64_t{1} * options.size * options.size;
  std::vector<std::uint8_t> mask_thw(static_cast<std::size_t>(plane * options.clip_len), 0);
  for (int t = 0; t < options.clip_len; ++t) {
    std::uint8_t* frame = mask_thw.data() + t * plane;
    for_each_pixel(scene.actor_shape, scene.actor[static_cast<std::size_t>(t)], options.size,
                   [&](int row, int column) { frame[row * options.size + column] = 1; });
  }
  return mask_thw;
}

}  // namespace cfp
