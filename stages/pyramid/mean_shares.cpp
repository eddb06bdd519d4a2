#include "stages/pyramid/mean_shares.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "stages/network/multiversion.h"

namespace cfp {
namespace {

using std::int64_t;

std::size_t index(int64_t i) { return static_cast<std::size_t>(i); }

/// E of one kernel over the channels of its group.
CFP_MULTIVERSION void score_row(const float* __restrict weight, const float* __restrict means,
                                int64_t channels, int64_t taps, float* __restrict scores) {
  if (taps == 1) {
    for (int64_t c = 0; c < channels; ++c) scores[c] = weight[c] * means[c];
    return;
  }
  for (int64_t c = 0; c < channels; ++c) {
    float sum = 0;
    for (int64_t tap = 0; tap < taps; ++tap) sum += weight[c * taps + tap] * means[c * taps + tap];
    scores[c] = sum;
  }
}

/// Divides one kernel's relevance among its channels by their positive scores.
CFP_MULTIVERSION void share_row(const float* __restrict scores, int64_t channels, double relevance,
                                float* __restrict below) {
  constexpr int64_t kLanes = 32;  // so that the additions need not wait for one another
  float lanes[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += std::max(scores[c + lane], 0.0F);
    }
  }
  for (; c < channels; ++c) lanes[c % kLanes] += std::max(scores[c], 0.0F);
  double total = 0;
  for (const float lane : lanes) total += lane;
  if (total <= 0) return;
  const auto share = static_cast<float>(relevance / total);
  for (c = 0; c < channels; ++c) below[c] += share * std::max(scores[c], 0.0F);
}

/// @return [kernels, C_in/groups] by LibTorch, on whatever device
at::Tensor scores_by_aten(const Responding& r) {
  const Conv3d& op = r.layer.op();
  std::vector<int64_t> groups;
  for (const int64_t kernel : r.kernels) groups.push_back(kernel / (op.out_channels / op.groups));
  const auto some = [](const at::Tensor& t, at::IntArrayRef rows) {
    return t.index_select(0, at::tensor(rows, at::kLong).to(t.device()));
  };
  const at::Tensor weight = some(r.layer.weight().flatten(2), {r.kernels.data(), r.kernels.size()});
  const at::Tensor seen = some(r.means.view({op.groups, weight.size(1), -1}), groups);
  return (weight * seen).sum(2).to(at::kCPU, at::kFloat).contiguous();
}

}  // namespace

MeanShares share_by_means(const Responding& r) {
  const Conv3d& op = r.layer.op();
  const int64_t channels = op.in_channels / op.groups, out = op.out_channels / op.groups;
  const int64_t taps = int64_t{1} * op.kernel[0] * op.kernel[1] * op.kernel[2];
  const auto count = static_cast<int64_t>(r.kernels.size());
  const at::Tensor& weight = r.layer.weight();
  const bool fast = weight.is_cpu() && weight.scalar_type() == at::kFloat && weight.is_contiguous();
  MeanShares result{fast ? at::empty({count, channels}, at::kFloat) : scores_by_aten(r),
                    std::vector<double>(index(op.in_channels), 0.0)};
  // A row is scored and shared out while it is in a first-level cache. The parts' number is fixed,
  // so that the result does not depend on the number of threads.
  constexpr int64_t kParts = 8;
  std::vector<float> below(index(kParts * op.in_channels), 0.0F);
  const at::Tensor means = r.means.contiguous();
  at::parallel_for(0, kParts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      for (int64_t k = part * count / kParts; k < (part + 1) * count / kParts; ++k) {
        const int64_t kernel = r.kernels[index(k)], first = kernel / out * channels;
        float* scores = result.scores.data_ptr<float>() + k * channels;
        if (fast) {
          score_row(weight.data_ptr<float>() + kernel * channels * taps,
                    means.data_ptr<float>() + first * taps, channels, taps, scores);
        }
        share_row(scores, channels, r.relevance[index(k)],
                  below.data() + part * op.in_channels + first);
      }
    }
  });
  for (std::size_t i = 0; i < below.size(); ++i) {
    result.below[i % result.below.size()] += below[i];
  }
  return result;
}

at::Tensor mean_outputs(const Convolution& layer, const at::Tensor& means) {
  const Conv3d& op = layer.op();
  const at::Tensor weight = layer.weight().view({op.groups, op.out_channels / op.groups, -1});
  const at::Tensor z = at::bmm(weight, means.view({op.groups, -1, 1})).flatten();
  return layer.bias().defined() ? z + layer.bias() : z;
}

}  // namespace cfp
