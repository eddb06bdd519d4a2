// What is explained of a row: which class, and as what. Private to this room.
#pragma once

#include <ATen/core/Tensor.h>

#include "stages/core/clip.h"
#include "stages/core/explain_options.h"

namespace cfp {

/// The same for all views of a row.
struct RowTarget {
  int class_index = 0;
  at::Tensor weights;  ///< [classes]: the target is weights * logits
};

/// @return whether the target depends on what the network says of a row
bool target_needs_logits(const ExplainOptions& options, const ClipRequest& row);

/// @param logits [classes]: of the row; not read where target_needs_logits() denies it
/// @param round  below pyramid_count()
RowTarget find_target(const ExplainOptions& options, int num_classes, const ClipRequest& row,
                      const at::Tensor& logits, int round);

}  // namespace cfp
