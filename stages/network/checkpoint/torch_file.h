// The two containers that torch.save() writes.
#pragma once

#include <memory>

#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/checkpoint/mapped_file.h"

namespace cfp {

/// Reads what PyTorch before 1.6 wrote: pickles in a row, then the raw storages.
/// @throws SystemError as read_checkpoint()
Checkpoint read_legacy_torch_file(const std::shared_ptr<const MappedFile>& file);

/// Reads what PyTorch writes since 1.6: a zip archive of `data.pkl` and one entry a storage.
/// @throws SystemError as read_checkpoint()
Checkpoint read_zip_torch_file(const std::shared_ptr<const MappedFile>& file);

}  // namespace cfp
