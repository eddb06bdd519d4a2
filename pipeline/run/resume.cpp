#include "pipeline/run/resume.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/run/identity.h"
#include "pipeline/run/part_files.h"
#include "pipeline/run/run_end.h"
#include "stages/core/errors.h"
#include "stages/pyramid/plan.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// @throws ConfigError the part is of another run
void check_identity(const PartReader& part, const fs::path& file, const Prepared& prepared) {
  const std::string difference =
      describe_difference({identity_of(part.header()), part.header().config}, file.string(),
                          prepared) +
      describe_other_classes(part.header().class_names, prepared.labels->class_names);
  if (difference.empty()) return;
  throw ConfigError(fmt::format(
      "'{}' holds results that this run cannot go on from; they differ in{}\n"
      "Name another output.work_dir, begin anew with --fresh (removes them), or go on all the same "
      "with --resume=force",
      file.parent_path().string(), difference));
}

/// @throws SystemError the rows of the part are not those behind the ones before
void check_rows(const std::vector<PartRow>& found, std::span<const ClipRequest> rows,
                std::int64_t before) {
  auto next = static_cast<std::size_t>(before);
  for (const PartRow& row : found) {
    if (next >= rows.size() || row.row != rows[next].row) {
      throw SystemError(fmt::format("row {} of the manifest where {} is next", row.row,
                                    next < rows.size() ? rows[next].row : -1));
    }
    ++next;
  }
}

/// @throws ConfigError clips of the part have other layers or classes than this run gives its clips
void require_same_kind(const PartReader& part, const Prepared& prepared) {
  const std::string classes =
      describe_other_classes(part.header().class_names, prepared.labels->class_names);
  if (!classes.empty()) throw ConfigError("it differs in" + classes);
  if (part.clips() == 0) return;
  std::vector<std::string> there, now;
  const ClipResult clip = part.read(0);
  for (const PyramidLayer& layer : clip.pyramids.front().layers) there.push_back(layer.name);
  const NetworkGraph& graph = prepared.network->graph;
  for (const PyramidPlan::Layer& layer : plan_pyramid(graph, prepared.config.explain).layers) {
    now.push_back(graph.node(layer.node).name);
  }
  std::ranges::sort(there);
  std::ranges::sort(now);
  if (there == now) return;
  throw ConfigError(fmt::format("its pyramids have {} layers ({}), those of this run {} ({})",
                                there.size(), fmt::join(there, ", "), now.size(),
                                fmt::join(now, ", ")));
}

void add_identity(const PartReader& part, const Prepared& prepared, std::string& continues) {
  const std::string now = to_line(identity_of(prepared));
  for (std::string rest = to_line(identity_of(part.header())) + '\n' + part.header().continues;
       !rest.empty();) {
    const std::string line = rest.substr(0, rest.find('\n'));
    rest.erase(0, line.size() + 1);
    if (line.empty() || line == now || continues.find(line) != std::string::npos) continue;
    continues += line + '\n';
  }
}

}  // namespace

bool is_complete(const WorkDir& folder, const Prepared& prepared,
                 std::span<const ClipRequest> rows) {
  const std::optional<RunEnd> end = read_run_end(folder.path());
  if (!end || !end->is_complete() || end->asked != static_cast<std::int64_t>(rows.size())) {
    return false;
  }
  // What run.json says is believed of parts that are still there, all of them.
  const std::vector<fs::path> parts = parts_in(folder.path());
  std::size_t found = 0;
  try {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].filename() != part_name(static_cast<std::int64_t>(i))) return false;
      found += rows_of_part(PartReader(parts[i])).size();
    }
    if (found != rows.size()) return false;
    if (parts.empty()) return true;
    const PartHeader last = PartReader(parts.back()).header();
    return identity_of(last) == identity_of(prepared) &&
           last.class_names == prepared.labels->class_names;
  } catch (const SystemError&) {
    return false;  // damaged: read_earlier() says what to do
  }
}

EarlierRun read_earlier(const WorkDir& folder, const Prepared& prepared,
                        std::span<const ClipRequest> rows, ResumeMode mode, const RowSink& sink) {
  EarlierRun earlier;
  const auto request = [&](std::int64_t row) -> const ClipRequest& {
    return rows[static_cast<std::size_t>(row - rows.front().row)];
  };
  for (const fs::path& file : parts_in(folder.path())) {
    if (file.filename() != part_name(earlier.parts)) {
      throw SystemError(
          fmt::format("'{}' is missing, and parts behind it are there; put it back, or remove them "
                      "and their clips will be done again",
                      (folder / part_name(earlier.parts)).string()));
    }
    try {
      const PartReader part(file);
      if (mode == ResumeMode::kSame) check_identity(part, file, prepared);
      if (mode == ResumeMode::kForce) require_same_kind(part, prepared);
      const std::vector<PartRow> found = rows_of_part(part);
      check_rows(found, rows, earlier.rows());
      read_rows(part, found, request, sink);
      add_identity(part, prepared, earlier.continues);
      ++earlier.parts;
      const auto failed = std::ranges::count_if(found, &PartRow::failed);
      earlier.failed += failed;
      earlier.done += static_cast<std::int64_t>(found.size()) - failed;
    } catch (const ConfigError& error) {
      if (mode != ResumeMode::kForce) throw;
      throw ConfigError(fmt::format("--resume=force: '{}': {}; --fresh begins anew", file.string(),
                                    error.what()));
    } catch (const std::logic_error& error) {
      if (mode != ResumeMode::kForce) throw;
      throw ConfigError(fmt::format("--resume=force: '{}' does not fit the parts before it: {}",
                                    file.string(), error.what()));
    } catch (const SystemError& error) {
      if (mode == ResumeMode::kForce) {
        throw ConfigError(
            fmt::format("--resume=force: '{}': {}; only results of the very clips that the "
                        "manifest begins with can be kept, --fresh begins anew",
                        file.string(), error.what()));
      }
      throw SystemError(
          fmt::format("'{}': {}\nRemove it and the parts behind it, and their clips will be done "
                      "again",
                      file.string(), error.what()));
    }
  }
  return earlier;
}

}  // namespace cfp
