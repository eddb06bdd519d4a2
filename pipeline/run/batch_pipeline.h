// The way of all rows through decoding and the devices to the writer, many at once.
//
// Note [Nothing depends on timing]
// Batches are cut from the manifest in order, whatever is quick or slow, and at the same rows of
// the manifest wherever a run or a shard begins: so each clip is computed with the same neighbours
// at any number of threads and devices, and in a run that was stopped and went on. Rows are handed
// to the writer in the manifest's order, batch by batch. Only a stop from outside (a signal) falls
// where it falls, between two batches: what is written is the beginning of the rows, without gaps.
// A device that fails changes no row either, see Note [A device that fails]; where memory runs out,
// clips get other neighbours, see Note [When memory runs out].
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/run/device_pool.h"
#include "stages/core/clip.h"

namespace cfp {

struct PipelineOptions {
  int batch_size = 4;             ///< rows a batch
  int decode_workers = 1;         ///< clips that are decoded at once
  int max_batches_in_flight = 4;  ///< the memory bound
  /// After a stop: how long batches in flight are worked on and waited for. What a stage has begun
  /// by then it ends.
  std::chrono::duration<double> grace = std::chrono::hours(1);
};

/// A row to its clips, one a view. Called from several threads at once.
/// @throws DataError the row fails, the run goes on
using DecodeFunction = std::function<std::vector<Clip>(const ClipRequest&)>;

/// What became of a row: its clips and what was found in them, or the failure of the first bad one.
struct RowOutcome {
  const ClipRequest* request = nullptr;
  std::vector<ClipResult> results;  ///< one a view, or one for all; empty for a failed row
  std::span<const Clip> clips;      ///< one a view; empty for a failed row
  std::optional<Failure> failure;
};

/// Takes a row, in the manifest's order, one at a time.
/// @return false: enough, later rows are given up
using WriteFunction = std::function<bool(RowOutcome)>;

/// What became of the rows: done + failed + given_up == rows, always.
struct PipelineCounts {
  std::int64_t done = 0;
  std::int64_t failed = 0;
  std::int64_t given_up = 0;  ///< not begun, or not written, because the run was stopped
};

/// Runs all rows through.
///
/// @param rows  in the manifest's order
/// @param stop  asked now and then, from any thread; once it says true no batch is begun any more,
///              and those in work are finished and written, as far as the grace allows
/// @throws what `decode` (but a DataError), a worker or `write` throws; the rest is then given up
/// @throws std::logic_error the counts do not add up
PipelineCounts run_batches(std::span<const ClipRequest> rows, const PipelineOptions& options,
                           const DecodeFunction& decode, DevicePool& pool,
                           const WriteFunction& write, const std::function<bool()>& stop);

}  // namespace cfp
