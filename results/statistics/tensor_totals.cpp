#include "results/statistics/tensor_totals.h"

#include <numeric>
#include <stdexcept>

namespace cfp {
namespace {

double total(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

void TensorTotals::add(const ChannelRelevance& tensor) {
  if (tensor.positive.empty()) return;  // a scorer that does not tell P from N
  const double all = total(tensor.positive);
  positive.add(all);
  negative.add(total(tensor.negative));
  if (tensor.found.size() != tensor.positive.size() || !(all > 0)) return;
  double found = 0;
  for (std::size_t i = 0; i < tensor.found.size(); ++i) {
    if (tensor.found[i] != 0) found += tensor.positive[i];
  }
  found_share.add(found / all);
}

void TensorTotals::merge(const TensorTotals& other) {
  positive.merge(other.positive);
  negative.merge(other.negative);
  found_share.merge(other.found_share);
}

void AdditionTotals::add(const PyramidAddition& addition) {
  if (name != addition.name || addends.size() != addition.addends.size()) {
    throw std::logic_error("addition " + addition.name + " of " +
                           std::to_string(addition.addends.size()) + " addends where the run has " +
                           name + " of " + std::to_string(addends.size()));
  }
  sum.add(addition.sum);
  for (std::size_t i = 0; i < addends.size(); ++i) addends[i].add(addition.addends[i]);
}

void AdditionTotals::merge(const AdditionTotals& other) {
  if (name != other.name || addends.size() != other.addends.size()) {
    throw std::invalid_argument("cannot merge addition " + name + " of " +
                                std::to_string(addends.size()) + " addends with " + other.name +
                                " of " + std::to_string(other.addends.size()));
  }
  sum.merge(other.sum);
  for (std::size_t i = 0; i < addends.size(); ++i) addends[i].merge(other.addends[i]);
}

}  // namespace cfp
