// The class feature pyramid of one clip: plain numbers, free of any tensor library.
//
// Made by stages/pyramid, written by results/store. docs/method.md defines every word used here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cfp {

/// How relevant each channel of one tensor is for the target. All vectors have one entry a channel.
struct ChannelRelevance {
  std::vector<float> positive;        ///< P: sum over positions of max(g * x, 0)
  std::vector<float> negative;        ///< N: sum over positions of max(-g * x, 0)
  std::vector<float> score;           ///< S, what selection goes by; unit of the target
  std::vector<std::uint8_t> found;    ///< 1: selected
  std::vector<std::uint8_t> reached;  ///< 1: found, and a chain of edges leads here from the class

  std::size_t channels() const { return score.size(); }
};

/// Channel `channel` of a layer's input feeds its kernel `kernel`.
struct Edge {
  std::uint32_t kernel = 0;
  std::uint32_t channel = 0;
  float score = 0;  ///< E, signed share of the kernel's relevance; kept edges have E > 0

  bool operator==(const Edge&) const = default;
};

/// The saliency volume of one layer at its own resolution. Row-major [length, height, width].
struct Tube {
  std::int64_t length = 0, height = 0, width = 0;
  std::vector<float> values;
  float minimum = 0, maximum = 0;

  bool constant() const { return !(maximum > minimum); }
};

/// One convolution or linear classifier of the pyramid.
struct PyramidLayer {
  std::string name;           ///< the checkpoint's name, without `.weight`
  int depth = 0;              ///< layers on the longest path to the class, itself counted; from 1
  ChannelRelevance kernels;   ///< of its output z, a following BatchNorm folded in
  ChannelRelevance channels;  ///< of the tensor that enters it
  std::vector<Edge> edges;    ///< from found kernels to found channels, ordered by kernel, channel
  Tube tube;                  ///< at the tensor that enters it; empty when no tubes are asked for
};

/// A residual addition between layers of the pyramid.
struct PyramidAddition {
  std::string name;
  ChannelRelevance sum;
  std::vector<std::string> addend_names;  ///< node that made each addend
  std::vector<ChannelRelevance> addends;
};

/// What is explained.
struct PyramidTarget {
  int class_index = 0;
  std::string kind = "logit";  ///< `logit` or `margin`
  double value = 0;            ///< y, the target's value for this clip
};

struct Pyramid {
  PyramidTarget target;
  std::string method;                ///< name of the scorer
  std::vector<PyramidLayer> layers;  ///< from the class downwards: by depth, then by name order
  std::vector<PyramidAddition> additions;  ///< from the class downwards
};

/// Everything known of one explained clip: a view of a row, or all views of a row averaged.
struct ClipResult {
  std::int64_t row = 0;
  std::string clip_id;
  std::string path;
  int view = 0;                       ///< of the row; 0 where several are averaged
  int views = 1;                      ///< how many are averaged here; 1: this view alone
  int label = -1;                     ///< index in the network's classes; -1: none
  int prediction = 0;                 ///< of the row: class of the largest mean logit of its views
  std::vector<float> logits;          ///< [classes] of this view, or the mean of those averaged
  std::vector<double> frame_times_s;  ///< [clip_len] of this view, or of the first one averaged
  std::vector<Pyramid> pyramids;      ///< one a target
  double decode_s = 0, network_s = 0, pyramid_s = 0;
};

}  // namespace cfp
