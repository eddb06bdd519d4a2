// Which channels of a tensor are found: selection per tensor (docs/method.md, section 3).
#pragma once

#include <span>

#include "stages/core/explain_options.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// Scores the channels of one tensor of one clip by S = P - balance * N and marks those found.
///
/// Found are channels with S > 0 and S >= threshold * max S; with top_n at most that many, the
/// largest, the lowest index first among equals.
///
/// @param negative N, one entry a channel; empty: 0 everywhere
ChannelRelevance select_channels(std::span<const double> positive, std::span<const double> negative,
                                 const ExplainOptions& options);

/// Makes one class the only channel found: where a pyramid begins, whatever the sign of its logit.
void root_at(int class_index, ChannelRelevance& relevance);

/// @return indices of the channels that are found, ascending
std::vector<std::int64_t> found_channels(const ChannelRelevance& relevance);

}  // namespace cfp
