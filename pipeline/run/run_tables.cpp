#include "pipeline/run/run_tables.h"

#include <utility>

#include "stages/decode/image_codec.h"

namespace cfp {

RunTables::RunTables(std::filesystem::path folder, RunInfo info, int summary_clips)
    : folder_(std::move(folder)),
      statistics_(std::move(info)),
      failures_(folder_ / "failures.csv", statistics_.info().random_weights),
      report_({.max_examples = summary_clips}, [](const std::uint8_t* rgb, int width, int height) {
        return encode_jpeg(rgb, width, height);
      }) {}

void RunTables::add(std::span<const ClipResult> views, const Frames& frames) {
  statistics_.add(views);
  // One view stands for its row, or a video of thirty would fill the page.
  if (!report_.wants(views.front())) return;
  if (const Clip* clip = frames()) report_.add_example(*clip, views.front());
}

void RunTables::add(const Failure& failure) {
  statistics_.add_failure(failure);
  failures_.add(failure);
}

void RunTables::write() {
  failures_.finish();
  write_tables(folder_, statistics_);
  report_.write(folder_ / "summary.html", statistics_);
}

}  // namespace cfp
