// A matrix product a tap, between the found kernels' gradient and what the found channels show the
// tap, kept in registers while the positions pass. The matrices are thin and very long, and found
// channels lie in few groups: both cost library products several times their work.
#include "stages/pyramid/edge_scores_cpu.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include "stages/network/float_vector.h"
#include "stages/network/multiversion.h"
#include "stages/network/taps.h"
#include "stages/network/tensor_kernels_cpu.h"

namespace cfp::cpu {
namespace {

using std::int64_t;

constexpr int64_t kWidth = kVectorFloats;
constexpr int64_t kMostKernels = 6;  ///< rows of a tile: with two vectors each they fill registers
constexpr int64_t kBlockNumbers = 1 << 17;  ///< of x that stay in a second-level cache
using Vector = FloatVector;

int64_t count(const auto& list) { return static_cast<int64_t>(list.size()); }

/// Output positions along one row that a tap joins to input positions.
struct Run {
  const float* g;
  const float* x;
  int64_t count;
};

/// The runs of a tap, and what is the same of all of them.
struct Tap {
  std::vector<Run> runs;
  int64_t g_step, x_step;  ///< from position to position
};

/// Adds to `sums` [K][width] the products of K kernels with N vectors of channels.
template <int64_t K, int64_t N>
CFP_INLINE void add_tile(const Tap& tap, int64_t kernel, int64_t channel, int64_t width,
                         float* sums) {
  Vector total[K][N];
  const auto at = [&](int64_t k, int64_t n) {
    return vectors_at<Vector>(sums + (kernel + k) * width + channel + n * kWidth);
  };
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t n = 0; n < N; ++n) total[k][n] = at(k, n)->value;
  }
  for (const Run& run : tap.runs) {
    const float* g = run.g + kernel;
    const float* x = run.x + channel;
    for (int64_t i = 0; i < run.count; ++i, g += tap.g_step, x += tap.x_step) {
      for (int64_t n = 0; n < N; ++n) {
        const Vector seen = vectors_at<Vector>(x + n * kWidth)->value;
        for (int64_t k = 0; k < K; ++k) total[k][n] += g[k] * seen;
      }
    }
  }
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t n = 0; n < N; ++n) at(k, n)->value = total[k][n];
  }
}

template <int64_t K>
CFP_INLINE void add_kernels(const Tap& tap, int64_t kernel, int64_t width, float* sums) {
  int64_t channel = 0;
  for (; channel + 2 * kWidth <= width; channel += 2 * kWidth) {
    add_tile<K, 2>(tap, kernel, channel, width, sums);
  }
  if (channel < width) add_tile<K, 1>(tap, kernel, channel, width, sums);
}

CFP_MULTIVERSION void add_products(const Tap& tap, int64_t kernels, int64_t width, float* sums) {
  int64_t kernel = 0;
  for (; kernel + kMostKernels <= kernels; kernel += kMostKernels) {
    add_kernels<kMostKernels>(tap, kernel, width, sums);
  }
  switch (kernels - kernel) {
    case 5:
      return add_kernels<5>(tap, kernel, width, sums);
    case 4:
      return add_kernels<4>(tap, kernel, width, sums);
    case 3:
      return add_kernels<3>(tap, kernel, width, sums);
    case 2:
      return add_kernels<2>(tap, kernel, width, sums);
    case 1:
      return add_kernels<1>(tap, kernel, width, sums);
    default:
      return;
  }
}

CFP_MULTIVERSION void keep_positive(float* values, int64_t n) {
  for (int64_t i = 0; i < n; ++i) values[i] = std::max(values[i], 0.0F);
}

/// One bundle: the products of every tap, summed over all positions, block by block.
class Products {
 public:
  Products(const Conv3d& op, const EdgeInput& input, const EdgeBundle& bundle)
      : op_(op),
        input_(input),
        bundle_(bundle),
        channels_(input.channels.begin() + bundle.c0, input.channels.begin() + bundle.c1),
        kernels_(bundle.k1 - bundle.k0),
        width_((bundle.c1 - bundle.c0 + kWidth - 1) / kWidth * kWidth),
        T_(input.entering.size(2)),
        H_(input.entering.size(3)),
        W_(input.entering.size(4)),
        taps_(int64_t{1} * op.kernel[0] * op.kernel[1] * op.kernel[2]) {}

  void run() {
    const at::Tensor& g = input_.gradient;
    // Input frames of a block, and those of its first output frame's taps.
    const int64_t frames = std::max<int64_t>(1, kBlockNumbers / (H_ * W_ * width_ * op_.stride[0]));
    const int64_t blocks = (g.size(0) + frames - 1) / frames;
    // Threads share the taps, or where there are few the blocks, each part with sums of its own.
    const int64_t parts = taps_ >= kManyTaps ? 1 : std::min(blocks, kMostParts);
    const int64_t size = taps_ * kernels_ * width_;
    sums_.assign(static_cast<std::size_t>(parts * size), 0.0F);
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        Block block;
        for (int64_t b = part * blocks / parts; b < (part + 1) * blocks / parts; ++b) {
          add_block(b * frames, std::min((b + 1) * frames, g.size(0)), block,
                    sums_.data() + part * size);
        }
      }
    });
    for (int64_t i = size; i < parts * size; ++i) {
      sums_[static_cast<std::size_t>(i % size)] += sums_[static_cast<std::size_t>(i)];
    }
  }

  /// The sum of tap `tap` between kernel k and channel c of the bundle.
  float sum(int64_t tap, int64_t k, int64_t c) const {
    return sums_[static_cast<std::size_t>((tap * kernels_ + k) * width_ + c)];
  }

 private:
  static constexpr int64_t kManyTaps = 4, kMostParts = 8;

  /// The bundle's channels of some input frames: [frames, H, W, width].
  struct Block {
    int64_t first = 0;
    std::vector<float> values;
  };

  void load(int64_t begin, int64_t end, Block& block) const {
    const int64_t frame = H_ * W_, row = input_.entering.size(1);
    block.first = begin;
    block.values.resize(static_cast<std::size_t>((end - begin) * frame * width_));
    const float* x = input_.entering.data_ptr<float>() + begin * frame * row;
    at::parallel_for(0, (end - begin) * frame, 256, [&](int64_t p0, int64_t p1) {
      float* out = block.values.data() + p0 * width_;
      gather_rows(x + p0 * row, p1 - p0, row, channels_, width_, out);
      if (input_.positive) keep_positive(out, (p1 - p0) * width_);
    });
  }

  /// Adds what the output frames [t0, t1) give.
  void add_block(int64_t t0, int64_t t1, Block& block, float* sums) const {
    const int64_t reach = (op_.kernel[0] - 1) * op_.dilation[0];
    const int64_t first = std::max<int64_t>(0, t0 * op_.stride[0] - op_.padding.before[0]);
    const int64_t last = std::min(T_, (t1 - 1) * op_.stride[0] - op_.padding.before[0] + reach + 1);
    if (last <= first) return;
    load(first, last, block);
    const int64_t plane = int64_t{1} * op_.kernel[1] * op_.kernel[2];
    at::parallel_for(0, taps_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t tap = begin; tap < end; ++tap) {
        const Tap part =
            runs(block, tap / plane, tap % plane / op_.kernel[2], tap % op_.kernel[2], t0, t1);
        add_products(part, kernels_, width_, sums + tap * kernels_ * width_);
      }
    });
  }

  Tap runs(const Block& block, int64_t kt, int64_t kh, int64_t kw, int64_t t0, int64_t t1) const {
    const at::Tensor& g = input_.gradient;
    Tap tap{{}, g.size(3), op_.stride[2] * width_};
    const TapRange t = tap_range(op_, 0, kt, T_);
    const TapRange h = tap_range(op_, 1, kh, H_);
    const TapRange w = tap_range(op_, 2, kw, W_);
    if (w.count() == 0) return tap;
    const auto in = [&](int axis, int64_t out, int64_t k) {
      return out * op_.stride[axis] + k * op_.dilation[axis] - op_.padding.before[axis];
    };
    for (int64_t o = std::max(t.begin, t0); o < std::min(t.end, t1); ++o) {
      for (int64_t r = h.begin; r < h.end; ++r) {
        const int64_t to = (o * g.size(1) + r) * g.size(2) + w.begin;
        const int64_t from = ((in(0, o, kt) - block.first) * H_ + in(1, r, kh)) * W_ + w.first;
        tap.runs.push_back({g.data_ptr<float>() + to * tap.g_step + bundle_.k0,
                            block.values.data() + from * width_, w.count()});
      }
    }
    return tap;
  }

  const Conv3d& op_;
  const EdgeInput& input_;
  const EdgeBundle bundle_;
  const std::vector<int> channels_;
  const int64_t kernels_;
  const int64_t width_;  ///< channels, filled up to whole vectors
  const int64_t T_, H_, W_, taps_;
  std::vector<float> sums_;  ///< [parts, taps, kernels, width]; in the end all in the first
};

}  // namespace

bool takes_edges(const Convolution& layer, const EdgeInput& input) {
  const auto plain = [](const at::Tensor& t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous();
  };
  return plain(layer.weight()) && plain(input.gradient) && takes({input.entering});
}

at::Tensor edge_scores(const Convolution& layer, const EdgeInput& input) {
  const Conv3d& op = layer.op();
  const int64_t out_width = op.out_channels / op.groups, in_width = op.in_channels / op.groups;
  const int64_t taps = int64_t{1} * op.kernel[0] * op.kernel[1] * op.kernel[2];
  const float* weight = layer.weight().data_ptr<float>();
  at::Tensor scores = at::zeros({count(input.kernels), count(input.channels)}, at::kFloat);
  float* out = scores.data_ptr<float>();
  for (const EdgeBundle& bundle : bundle_groups(op, input, kMostKernels, kWidth)) {
    Products products(op, input, bundle);
    products.run();
    for (int64_t k = bundle.k0; k < bundle.k1; ++k) {
      const int64_t kernel = input.kernels[static_cast<std::size_t>(k)];
      const int64_t first = kernel / out_width * in_width;  // of the kernel's group
      for (int64_t c = bundle.c0; c < bundle.c1; ++c) {
        const int64_t channel = input.channels[static_cast<std::size_t>(c)] - first;
        if (channel < 0 || channel >= in_width) continue;
        const float* w = weight + (kernel * in_width + channel) * taps;
        float score = 0;
        for (int64_t tap = 0; tap < taps; ++tap) {
          score += w[tap] * products.sum(tap, k - bundle.k0, c - bundle.c0);
        }
        out[k * count(input.channels) + c] = score;
      }
    }
  }
  return scores;
}

}  // namespace cfp::cpu
