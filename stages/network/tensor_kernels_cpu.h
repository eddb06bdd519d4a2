// One-pass bodies of tensor_kernels.h for float32 on a CPU, channels last: rows of C numbers, one
// row a position.
//
// Sums are taken over fixed blocks of positions and added up in order, so that they do not depend
// on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/network/tensor_kernels.h"

namespace cfp::cpu {

/// @return whether all these tensors are what the functions below take; undefined ones don't count
bool takes(std::initializer_list<at::Tensor> tensors);

at::Tensor channel_sums(const at::Tensor& x);
ChannelSums contribution_sums(const at::Tensor& gradient, const at::Tensor& value);
OutputGradient relu_gradient(at::Tensor gradient, const at::Tensor& value,
                             const at::Tensor& residual, bool relu);
/// Some channels of rows of positions [rows, row], each row filled up with zeros.
///
/// @param channels ascending
/// @param out      [rows, width], width >= channels.size()
void gather_rows(const float* x, std::int64_t rows, std::int64_t row,
                 const std::vector<int>& channels, std::int64_t width, float* out);

at::Tensor gather_channels(const at::Tensor& x, std::int64_t clip,
                           const std::vector<std::int64_t>& channels);
at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                       bool relu);
at::Tensor scale_gradient(const at::Tensor& gradient, const at::Tensor& scale,
                          const at::Tensor& add_to);
at::Tensor max_pool(const at::Tensor& x, const MaxPool3d& pool, const Triple& out_size);
at::Tensor max_pool_gradient(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& y,
                             const MaxPool3d& pool);
at::Tensor relevance_ratio(const at::Tensor& relevance, at::Tensor activation);
at::Tensor positive_product(const at::Tensor& x, at::Tensor factor, const at::Tensor& add_to);
AddendRelevance split_relevance(const at::Tensor& relevance, const at::Tensor& value,
                                const at::Tensor& residual);

}  // namespace cfp::cpu
