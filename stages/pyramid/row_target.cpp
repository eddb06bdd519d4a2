#include "stages/pyramid/row_target.h"

#include <algorithm>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include "stages/pyramid/explainer.h"

namespace cfp {

std::size_t pyramid_count(const ExplainOptions& options, int num_classes) {
  if (options.target != TargetKind::kTopK) return 1;
  return static_cast<std::size_t>(std::min(options.top_k, num_classes));
}

bool target_needs_logits(const ExplainOptions& options, const ClipRequest& row) {
  if (options.margin) return true;
  if (options.target == TargetKind::kLabel) return !row.label;
  return options.target != TargetKind::kClass;
}

RowTarget find_target(const ExplainOptions& options, int num_classes, const ClipRequest& row,
                      const at::Tensor& logits, int round) {
  const auto ranked = [&](int k) {
    return logits.argsort(/*stable=*/true, 0, /*descending=*/true)[k].item<int>();
  };
  RowTarget target;
  switch (options.target) {
    case TargetKind::kLabel:
      target.class_index = row.label ? *row.label : ranked(0);
      break;
    case TargetKind::kPrediction:
      target.class_index = ranked(0);
      break;
    case TargetKind::kClass:
      target.class_index = options.target_class;
      break;
    case TargetKind::kTopK:
      target.class_index = ranked(round);
      break;
  }
  if (options.margin) {
    at::Tensor others = logits.clone();
    others[target.class_index].fill_(-std::numeric_limits<double>::infinity());
    target.weights = -at::softmax(others, 0);
  } else {
    target.weights = at::zeros({num_classes}, at::kFloat);
  }
  target.weights[target.class_index].fill_(1);
  return target;
}

}  // namespace cfp
