#include "tests/unit/store/example_clips.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "stages/core/formula.h"

namespace cfp::test {
namespace {

/// Uniform numbers of one clip, one after the other.
class Numbers {
 public:
  explicit Numbers(std::int64_t row) : stream_(static_cast<std::uint64_t>(row), "example clips") {}
  float next() { return stream_.uniform(index_++); }
  int below(int limit) { return static_cast<int>(next() * static_cast<float>(limit)); }

 private:
  FormulaStream stream_;
  std::uint64_t index_ = 0;
};

ChannelRelevance example_relevance(Numbers& numbers, int channels) {
  ChannelRelevance relevance;
  for (int i = 0; i < channels; ++i) {
    const float positive = numbers.next(), negative = numbers.next() / 3;
    relevance.positive.push_back(positive);
    relevance.negative.push_back(negative);
    relevance.score.push_back(positive - negative / 2);
    relevance.found.push_back(relevance.score.back() > 0.6F ? 1 : 0);
    relevance.reached.push_back(relevance.found.back() != 0 && numbers.next() > 0.3F ? 1 : 0);
  }
  return relevance;
}

Tube example_tube(Numbers& numbers, std::int64_t length, std::int64_t side) {
  Tube tube{length, side, side + 1, {}};
  for (std::int64_t i = 0; i < length * side * (side + 1); ++i) {
    tube.values.push_back(numbers.next());
  }
  const auto [low, high] = std::minmax_element(tube.values.begin(), tube.values.end());
  tube.minimum = *low;
  tube.maximum = *high;
  return tube;
}

Pyramid example_pyramid(Numbers& numbers, const ExampleShape& shape, int target) {
  Pyramid pyramid;
  pyramid.method = "gradient";
  pyramid.target = {target, target % 2 == 0 ? "logit" : "margin", double{numbers.next()} * 10 - 3};
  for (int i = 0; i < shape.layers; ++i) {
    PyramidLayer& layer = pyramid.layers.emplace_back();
    // A name with a slash must not become a group inside a group, nor meet its neighbour's.
    layer.name = i == 0   ? "fc"
                 : i == 1 ? "layer4/conv"
                 : i == 2 ? "layer4_conv"
                          : "layer" + std::to_string(i);
    layer.depth = i + 1;
    const int kernels = i == 0 ? shape.classes : shape.kernels + 8 * i;
    layer.kernels = example_relevance(numbers, kernels);
    layer.channels = example_relevance(numbers, shape.kernels + 3);
    for (int k = 0; k < kernels; ++k) {
      for (int c = 0; c < shape.kernels + 3; ++c) {
        if (layer.kernels.found[static_cast<std::size_t>(k)] != 0 &&
            layer.channels.found[static_cast<std::size_t>(c)] != 0 && numbers.next() > 0.5F) {
          layer.edges.push_back(
              {static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(c), numbers.next()});
        }
      }
    }
    if (shape.tubes) layer.tube = example_tube(numbers, i + 1, i + 2);
  }
  if (shape.additions) {
    for (const char* name : {"layer4.2.add", "layer4.1.add"}) {
      PyramidAddition& addition = pyramid.additions.emplace_back();
      addition.name = name;
      addition.sum = example_relevance(numbers, shape.kernels);
      addition.addend_names = {"layer4.2.bn3", "layer4.1.relu"};
      for (int a = 0; a < 2; ++a) {
        // An addend has only its sums: nothing is selected in it.
        ChannelRelevance addend = example_relevance(numbers, shape.kernels);
        addend.found.clear();
        addend.reached.clear();
        addition.addends.push_back(addend);
      }
    }
  }
  return pyramid;
}

}  // namespace

ClipResult example_clip(std::int64_t row, const ExampleShape& shape) {
  Numbers numbers(row);
  ClipResult clip;
  clip.row = row;
  clip.clip_id = "clip, \"" + std::to_string(row) + "\" <b>&amp;#;'";
  clip.path = "/data/a b/日本 é/" + std::to_string(row) + ".mp4";
  clip.view = static_cast<int>(row % 2);
  for (int i = 0; i < shape.classes; ++i) clip.logits.push_back(numbers.next() * 8 - 2);
  clip.prediction = static_cast<int>(std::max_element(clip.logits.begin(), clip.logits.end()) -
                                     clip.logits.begin());
  clip.label = row % 5 == 4 ? -1
               : row % 3 == 2
                   ? (clip.prediction + 1 + numbers.below(shape.classes - 1)) % shape.classes
                   : clip.prediction;
  for (int i = 0; i < shape.frames; ++i) clip.frame_times_s.push_back(i / 25.0 + 0.1);
  for (int k = 0; k < shape.targets; ++k) {
    const int target = k == 0 ? std::max(clip.label, 0) : (clip.prediction + k) % shape.classes;
    clip.pyramids.push_back(example_pyramid(numbers, shape, target));
  }
  clip.decode_s = numbers.next();
  clip.network_s = numbers.next() * 3;
  clip.pyramid_s = numbers.next() / 7;
  return clip;
}

Failure example_failure(std::int64_t row) {
  const auto reason = static_cast<FailureReason>(row % 10);
  return {row,
          "broken " + std::to_string(row),
          "/data/\"quoted\", " + std::to_string(row) + ".avi",
          "decode",
          reason,
          "line one\nline two, of row " + std::to_string(row)};
}

}  // namespace cfp::test
