// From a pickle's values to the tensors of the network in it.
#pragma once

#include <functional>
#include <memory>

#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/checkpoint/pickle.h"

namespace cfp {

/// @return the bytes of a storage; throws SystemError where the file has none under its key
using StorageResolver = std::function<ByteView(const PickleStorage&)>;

/// Collects the tensors of the dictionary that holds the weights, and the scalars beside it.
///
/// That dictionary is the pickle's own, or the one under `state_dict`, `model`, `model_state`,
/// `model_state_dict` or `net`, to any of four levels; everything else (optimizer, scheduler) is
/// passed over and its storages are not touched.
///
/// @param owner  keeps alive what `resolve` returns
/// @throws SystemError no dictionary, no tensors in it, two of one name, more than kMaxTensors, or
///         a tensor that leaves its storage
Checkpoint collect_state_dict(const Pickle& pickle, const StorageResolver& resolve,
                              const std::shared_ptr<const void>& owner, const std::string& file);

}  // namespace cfp
