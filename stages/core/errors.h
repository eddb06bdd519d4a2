// The kinds of error that the program knows, by who has to act on them.
//
// Everything that goes wrong is one of: something that the user must edit (ConfigError), one bad
// clip (DataError), the machine, a file that the program wrote or a checkpoint (SystemError), or a
// bug of ours (anything else). docs/architecture.md says what each does to a run.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cfp {

/// Exit codes of the program; documented in the README.
enum class ExitCode : int {
  kDone = 0,
  kBug = 1,
  kConfig = 2,
  kTooManyFailures = 3,
  kSystem = 4,
  kStopped = 75,       ///< stopped by SIGTERM or a batch system; resumable
  kInterrupted = 130,  ///< ^C
};

/// The user must edit a config, a command line or a list; found before work starts.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Why a clip could not be explained; the name is what stands in failures.csv.
enum class FailureReason {
  kMissing,        ///< no such file
  kUnreadable,     ///< there, but cannot be opened (permission, a folder, not a media file)
  kEmpty,          ///< a file of no bytes, or a video stream without a frame
  kNoVideoStream,  ///< audio or subtitles only
  kDecodeError,    ///< the decoder gave up before the wanted frames
  kTooShort,       ///< fewer frames than asked for, and out_of_bound is `error`
  kTimeout,        ///< the time limit for one clip was used up
  kNoLabel,        ///< a label is needed and the row has none
  kDuplicate,      ///< the same clip twice
  kNotFinite,      ///< the network's output for this clip is not a number
  kTooSmall,       ///< frames smaller than the crop that the network takes
  kMemory,         ///< this clip alone needs more memory than there is
};

/// @return the reason as written to files: `missing`, `decode_error`, …
std::string_view to_string(FailureReason reason);
/// @return the reason that to_string() writes as `name`; nothing where there is none
std::optional<FailureReason> failure_reason(std::string_view name);

/// One clip is bad; the run goes on.
class DataError : public std::runtime_error {
 public:
  DataError(FailureReason reason, const std::string& message)
      : std::runtime_error(message), reason_(reason) {}
  FailureReason reason() const { return reason_; }

 private:
  FailureReason reason_;
};

/// Disk, device, HDF5 or checkpoint: work in flight stops, finished parts stay whole.
class SystemError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A device fails; others may go on.
class DeviceError : public SystemError {
 public:
  using SystemError::SystemError;
};

/// A device has too little memory for what it was given; for less of it there may be enough.
class DeviceOutOfMemory : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

/// A device that failed and can be used no more by this process.
class DeviceLost : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

}  // namespace cfp
