#include "stages/pyramid/selection.h"

#include <algorithm>
#include <numeric>

namespace cfp {

ChannelRelevance select_channels(std::span<const double> positive, std::span<const double> negative,
                                 const ExplainOptions& options) {
  ChannelRelevance result;
  const std::size_t n = positive.size();
  result.positive.assign(positive.begin(), positive.end());
  if (negative.empty()) {
    result.negative.assign(n, 0.0F);
    result.score = result.positive;
  } else {
    result.negative.assign(negative.begin(), negative.end());
    result.score.resize(n);
    for (std::size_t c = 0; c < n; ++c) {
      result.score[c] = static_cast<float>(positive[c] - options.balance * negative[c]);
    }
  }
  result.found.assign(n, 0);
  result.reached.assign(n, 0);
  const float largest = n == 0 ? 0.0F : std::ranges::max(result.score);
  const auto enough = static_cast<float>(options.threshold * largest);
  for (std::size_t c = 0; c < n; ++c) {
    result.found[c] = result.score[c] > 0 && result.score[c] >= enough;
  }
  if (options.top_n > 0) {
    std::vector<std::int64_t> order = found_channels(result);
    std::ranges::stable_sort(order, std::greater<>(), [&](std::int64_t c) {
      return result.score[static_cast<std::size_t>(c)];
    });
    for (std::size_t k = static_cast<std::size_t>(options.top_n); k < order.size(); ++k) {
      result.found[static_cast<std::size_t>(order[k])] = 0;
    }
  }
  return result;
}

void root_at(int class_index, ChannelRelevance& relevance) {
  std::ranges::fill(relevance.found, 0);
  relevance.found[static_cast<std::size_t>(class_index)] = 1;
}

std::vector<std::int64_t> found_channels(const ChannelRelevance& relevance) {
  std::vector<std::int64_t> found;
  for (std::size_t c = 0; c < relevance.found.size(); ++c) {
    if (relevance.found[c]) found.push_back(static_cast<std::int64_t>(c));
  }
  return found;
}

}  // namespace cfp
