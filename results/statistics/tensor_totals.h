// How much positive and negative relevance a tensor has over all its channels, over targets.
#pragma once

#include <string>
#include <vector>

#include "results/statistics/accumulator.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// One tensor over all explained targets.
struct TensorTotals {
  Accumulator positive;  ///< sum of P over all channels, a target; unit of the target
  Accumulator negative;  ///< sum of N over all channels, a target; unit of the target
  /// Share of the sum of P that lies on found channels; where that sum > 0, and not of addends.
  Accumulator found_share;

  void add(const ChannelRelevance& tensor);
  void merge(const TensorTotals& other);
};

/// The tensors of one residual addition over all explained targets.
struct AdditionTotals {
  std::string name;
  TensorTotals sum;
  std::vector<std::string> addend_names;  ///< node that made each addend
  std::vector<TensorTotals> addends;

  /// @throws std::logic_error it has another name or number of addends than those before it
  void add(const PyramidAddition& addition);
  /// @throws std::invalid_argument as add()
  void merge(const AdditionTotals& other);
};

}  // namespace cfp
