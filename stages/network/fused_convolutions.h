// Whether convolutions on a CPU go the fast way. Free of LibTorch's headers.
#pragma once

namespace cfp {

/// @return whether LibTorch's fused oneDNN operators are there and agree with the plain ones;
/// checked once. Without them convolutions on a CPU take 1.3 to 5 times as long
/// (docs/performance.md).
bool fused_convolutions_available();

}  // namespace cfp
