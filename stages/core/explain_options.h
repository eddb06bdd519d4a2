// What is asked of an explanation; filled from the config's `explain:` section.
#pragma once

#include <string>
#include <vector>

namespace cfp {

/// Which volume a tube holds; docs/method.md, section 5.
enum class TubeKind { kNone, kExcitation, kWeighted };

/// What `target:` names.
enum class TargetKind { kLabel, kPrediction, kClass, kTopK };

/// What becomes of the pyramids of a row's views; docs/method.md, section 9.
enum class ViewPyramids { kSeparate, kAveraged };

struct ExplainOptions {
  std::string method = "gradient";         ///< name of the scorer
  TargetKind target = TargetKind::kLabel;  ///< falls to the prediction for unlabelled clips
  int target_class = -1;                   ///< for kClass: index in the network's classes
  int top_k = 1;                           ///< for kTopK: so many classes, each a pyramid
  bool margin = false;                     ///< explain the margin instead of the logit
  double threshold = 0.3;                  ///< theta: share of a tensor's largest S that is found
  double balance = 0.5;                    ///< S = P - balance * N
  int top_n = 0;                           ///< at most so many channels a tensor; 0: no limit
  double edge_threshold = 0;               ///< edges below this share of a kernel's largest go
  int depth = 3;                           ///< layers of depth up to this; 0: all
  std::vector<std::string> layers;  ///< these layers by name instead of a depth; may be empty
  bool edges = true;
  TubeKind tubes = TubeKind::kExcitation;
  ViewPyramids views = ViewPyramids::kSeparate;
};

}  // namespace cfp
