// Checks of the numbers that a builder is given; shared by the families.
#pragma once

#include <string_view>
#include <vector>

#include "stages/network/graph.h"

namespace cfp::builder {

/// Far above any network in use; keeps a typo from asking for the whole memory.
inline constexpr int kMostChannels = 1 << 16;
inline constexpr int kMostBlocks = 1000;
inline constexpr int kMostClasses = 1'000'000;
inline constexpr int kLargestKernel = 64;

/// @throws ConfigError `value` is not in [least, most]; the message names architecture and option
void check_range(std::string_view family, std::string_view option, int value, int least, int most);

/// @throws ConfigError an entry is not in [least, most]
void check_range(std::string_view family, std::string_view option, const Triple& value, int least,
                 int most);

/// @throws ConfigError not `stages` entries (0: one to six), or one that is not in [1, kMostBlocks]
void check_blocks(std::string_view family, const std::vector<int>& blocks, std::size_t stages);

/// @throws ConfigError `value` is no multiple of `divisor`
void check_multiple(std::string_view family, std::string_view option, int value,
                    std::string_view divisor_name, int divisor);

/// @throws ConfigError a kernel of even size, which cannot be padded evenly
void check_odd(std::string_view family, std::string_view option, const Triple& value);

/// Padding that keeps the size at stride 1, for an odd kernel.
Padding half_padding(const Triple& kernel);

/// `T x H x W` as messages show it.
std::string size_text(const Triple& size);

}  // namespace cfp::builder
