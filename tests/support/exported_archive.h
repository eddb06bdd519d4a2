// Archives of torch.export around a graph, for tests of what a hostile graph does.
#pragma once

#include <string>
#include <string_view>

namespace cfp::test {

/// Writes a zip of stored entries without checksums: the graph, and tensors for it to name.
///
/// @param graph what `models/model.json` holds: JSON, or anything. It may name w0 to w7, of 8
/// numbers, and
///              w8 to w15, of 8x8, all 0.747
std::string archive_around(std::string_view graph);

}  // namespace cfp::test
