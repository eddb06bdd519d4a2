// Clips through one device, as many at once as fit its memory.
//
//   DeviceBatches batches("cuda:0", explain, 8, notice);
//   Outcomes outcomes = batches(clips);
//
// Note [When memory runs out]
// A call that does not fit is done again with half of its clips at once, down to one, and the
// device stays at what fitted: a batch that was too large once is too large again. Rows keep their
// order and none is lost or counted twice; the numbers are those of a smaller runtime.batch_size,
// which differ by rounding at most. A clip that does not fit alone is a failure of that clip, the
// rest goes on; but where one as large did fit before, it is not the clip, and the device counts as
// lost.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stages/core/clip.h"
#include "stages/pyramid/explainer.h"

namespace cfp {

using Outcomes = std::vector<RowExplanation>;

/// Clips of one size, whole rows whose views follow one another, to one outcome a row, in order; no
/// more than `batch_size` clips are computed at once.
/// @throws DeviceOutOfMemory, DeviceLost
using ExplainFunction = std::function<Outcomes(std::span<const Clip>, std::size_t batch_size)>;

/// What a device says of itself while the others work on.
struct DeviceNotice {
  enum class Kind { kHalved, kLost, kNotStarted };
  Kind kind = Kind::kHalved;
  std::string device;
  std::size_t batch_size = 0;    ///< clips at once from now on; of kHalved
  std::size_t devices_left = 0;  ///< that go on; of kLost, kNotStarted
  std::string reason;
};
/// Called from the device's thread. What it throws becomes the outcome of the batch in work.
using NoticeFunction = std::function<void(const DeviceNotice&)>;

/// @return the notice in words
std::string describe(const DeviceNotice& notice);

/// For one thread at a time.
class DeviceBatches {
 public:
  /// @param batch_size  clips that are computed at once at most
  DeviceBatches(std::string device, ExplainFunction explain, std::size_t batch_size,
                NoticeFunction notice);

  /// Explains runs of whole rows of one size, at most batch_size() clips at once; a row of more
  /// views comes alone.
  ///
  /// @param clips  whole rows, whose views follow one another, and which may differ in size
  /// @return one outcome a row, in the rows' order; see Note [When memory runs out]
  /// @throws DeviceLost the device can be used no more
  /// @throws std::logic_error `explain` gives another number of outcomes than it got rows
  Outcomes operator()(std::span<const Clip> clips);

  std::size_t batch_size() const { return batch_size_; }

 private:
  /// Makes the batch smaller, or says what becomes of the one clip that it is.
  /// @return the failure of the clip; nothing: try again
  std::optional<Failure> make_room(std::span<const Clip> clips, const DeviceOutOfMemory& error);

  std::string device_;
  ExplainFunction explain_;
  std::size_t batch_size_;
  NoticeFunction notice_;
  std::size_t fitted_bytes_ = 0;  ///< frames of the largest clip that fitted
};

}  // namespace cfp
