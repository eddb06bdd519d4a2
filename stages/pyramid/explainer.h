// Clips in, class feature pyramids out: the one object a device worker holds.
//
//   Explainer explainer(network, preprocess, options, {.device = "cpu", .threads = 1});
//   std::vector<ExplainOutcome> outcomes = explainer.explain(clips);
//
// Free of LibTorch's headers, so that the pipeline compiles without them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "stages/core/clip.h"
#include "stages/core/explain_options.h"
#include "stages/core/preprocess.h"
#include "stages/core/pyramid.h"

namespace cfp {

struct Network;  // stages/network/network.h: graph, weights, class names

/// Where an Explainer runs.
struct DeviceOptions {
  std::string device = "cpu";  ///< `cpu`, `cuda:0`, …
  int threads = 0;             ///< for one operation on a CPU; 0: as many as LibTorch likes
};

/// @return the devices that `auto` stands for here: all CUDA devices, else `cpu`
std::vector<std::string> available_devices();

using ExplainOutcome = std::variant<ClipResult, Failure>;

/// What became of a row: results of its views, or one for all where they are averaged; or the
/// failure of the first bad view.
using RowExplanation = std::variant<std::vector<ClipResult>, Failure>;

/// @return how many pyramids each result gets of these options: one a target
std::size_t pyramid_count(const ExplainOptions& options, int num_classes);

struct ExplainerParts;

/// @return the clips at the beginning that are views of one row
std::span<const Clip> first_row(std::span<const Clip> clips);

/// Runs one network on one device and explains what it says.
///
/// Not for two threads at once: give each worker its own. Explainers made from one `Network` share
/// its weights on the CPU.
class Explainer {
 public:
  /// @throws ConfigError an option names a layer, class or method that is not there
  /// @throws DeviceOutOfMemory, DeviceLost, SystemError the device is not there or cannot take it
  Explainer(std::shared_ptr<const Network> network, PreprocessOptions preprocess,
            ExplainOptions options, DeviceOptions device);
  /// Explains each clip in several ways that share its forward pass, and what else they can: each
  /// result holds the pyramids of the first options, then those of the second, and so on. They are
  /// those of each alone, but for the rounding of edges' scores.
  /// @param options  at least one; of the same `views`
  Explainer(std::shared_ptr<const Network> network, PreprocessOptions preprocess,
            const std::vector<ExplainOptions>& options, DeviceOptions device);
  ~Explainer();
  Explainer(Explainer&&) noexcept;
  Explainer& operator=(Explainer&&) noexcept;

  /// Explains clips of one size as one batch, whatever their rows; each gets what it would get
  /// alone.
  ///
  /// @return one outcome a clip, in order
  /// @throws DeviceOutOfMemory, DeviceLost, SystemError otherwise
  std::vector<ExplainOutcome> explain(std::span<const Clip> clips);

  /// Explains rows, whose views follow one another; docs/method.md, section 9.
  ///
  /// @param clips       of one size
  /// @param batch_size  clips that go through the network at once, at most; where there are more,
  ///                    they go through it more than once
  /// @return one explanation a row, in order
  /// @throws DeviceOutOfMemory, DeviceLost, SystemError otherwise
  std::vector<RowExplanation> explain_rows(std::span<const Clip> clips, std::size_t batch_size);

  /// Another one on the same device, for another thread: it shares the weights.
  Explainer replica() const;

  /// Runs an empty clip [3, T, H, W] so that first-use costs are paid before work starts.
  void warm_up(int clip_len, int height, int width);

 private:
  explicit Explainer(const ExplainerParts& parts);
  std::vector<RowExplanation> explain(const std::vector<std::span<const Clip>>& rows,
                                      std::span<const Clip> clips, std::size_t batch_size);
  std::unique_ptr<ExplainerParts> parts_;
};

}  // namespace cfp
