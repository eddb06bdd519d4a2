// Names, shapes and meanings of a part's datasets, for writer and reader alike. Private to this
// room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "results/store/column.h"

namespace cfp::hdf5 {

/// Turns names of layers into names of groups: `/`, which would nest, becomes `_`; what is then
/// empty, `.`, or taken gets a number behind it.
std::vector<std::string> group_names(const std::vector<std::string>& names);

/// The five vectors of a ChannelRelevance, in the order in which they are written.
enum class RelevanceField { kPositive, kNegative, kScore, kFound, kReached };
inline constexpr RelevanceField kRelevanceFields[] = {
    RelevanceField::kPositive, RelevanceField::kNegative, RelevanceField::kScore,
    RelevanceField::kFound, RelevanceField::kReached};

std::string_view name_of(RelevanceField field);

/// @param axis  what a row counts: `kernels` or `channels`
ColumnSpec relevance_spec(RelevanceField field, hsize_t targets, hsize_t channels,
                          std::string_view axis);

}  // namespace cfp::hdf5
