// The stage `decode`: a row of the manifest becomes the clips that the network takes.
//
//   const ClipDecoder decode({.clip_len = 16}, preprocess_preset("kenshohara2018"));
//   for (const Clip& clip : decode(request)) …
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "stages/core/clip.h"
#include "stages/core/preprocess.h"
#include "stages/decode/sampling.h"
#include "stages/decode/video_decoder.h"

namespace cfp {

/// Decodes, samples, resizes and crops. Safe to call from several threads at once; each call uses
/// one thread.
class ClipDecoder {
 public:
  using Input = ClipRequest;
  using Output = std::vector<Clip>;
  static constexpr std::string_view kName = "decode";

  /// @throws ConfigError an option is out of its range
  ClipDecoder(SamplingOptions sampling, PreprocessOptions preprocess, DecodeLimits limits = {});

  /// @return one clip a view: view_count(sampling) of them; all carry the time of the whole call
  /// @throws DataError the file is bad, the segment too short, the time used up, …; the message
  ///                   starts with the path
  Output operator()(const Input& request) const;

 private:
  SamplingOptions sampling_;
  PreprocessOptions preprocess_;
  DecodeLimits limits_;
  std::shared_ptr<OpenVideos> open_videos_;  ///< for neighbouring segments; shared by copies
};

}  // namespace cfp
