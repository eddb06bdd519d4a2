// What a forward and a whole explanation cost, as ratios.
#pragma once

#include <string>
#include <vector>

namespace cfp::benchmark {

struct Settings {
  std::vector<std::string> networks;  ///< architectures
  std::string python = "python3";     ///< with PyTorch
  int threads = 2;
  int runs = 5;
  bool cpu_time = false;   ///< processor time instead of wall time: for busy machines,
                           ///< with one thread (idle threads spin)
  bool full_size = false;  ///< 16x224x224 for every network
};

/// Forward with every value kept against PyTorch's eager forward: one line a network.
void forward(const Settings& settings);

/// Explanations of depth 3 and of the whole network against our own forward.
void explain(const Settings& settings);

/// Whole-network pyramids by every scorer against our own forward, PyTorch's autograd, and a
/// back-step kernel by kernel in Python.
void pyramid(const Settings& settings);

/// Where a forward's time goes, node by node, the slowest first.
void profile(const Settings& settings);

}  // namespace cfp::benchmark
