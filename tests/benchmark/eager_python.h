// PyTorch's eager forward in a Python process of its own, asked for one forward at a time, so that
// both sides of a ratio are measured in turn.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stages/core/preprocess.h"
#include "stages/network/graph.h"

namespace cfp::benchmark {

/// What a usual pipeline of DataLoader and OpenCV reads.
struct PythonClips {
  std::vector<std::string> files;
  PreprocessOptions preprocess;
  int frame_interval = 1;
  int batch_size = 4;
  int workers = 1;  ///< processes that decode
};

struct EagerOptions {
  int threads = 1;
  bool cpu_time = false;             ///< processor time instead of wall time
  std::optional<PythonClips> clips;  ///< for pipeline()
};

class EagerPython {
 public:
  /// Starts `python` and builds the network in it.
  /// @throws std::runtime_error the process does not answer
  EagerPython(const std::string& python, const NetworkGraph& graph, const Triple& size,
              const EagerOptions& options);
  ~EagerPython();
  EagerPython(const EagerPython&) = delete;
  EagerPython& operator=(const EagerPython&) = delete;

  /// @return milliseconds of one forward
  double forward() { return ask("forward"); }
  /// @return milliseconds of one forward and the gradients of all activations
  double backward() { return ask("backward"); }
  /// @return milliseconds a kernel of the back-step as one would write it in Python: the activation
  ///         pooled and the row scored anew for each kernel, over some kernels of every layer
  double back_step() { return ask("back_step"); }
  /// @return milliseconds from the first file of EagerOptions::clips to the logits of the last
  double pipeline() { return ask("pipeline"); }

 private:
  double ask(const char* what);
  std::string read_line();

  int pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace cfp::benchmark
