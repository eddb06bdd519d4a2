#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/render.h"
#include "pipeline/run/work_dir.h"

namespace cfp {
namespace {

struct Arguments {
  std::string work_dir, out, style, format;
  std::vector<std::string> clips;
  int depth = 0;
  RenderOptions options;
};

ExitCode render(const Arguments& arguments) {
  RenderOptions options = arguments.options;
  if (arguments.depth > 0) options.depth = arguments.depth;
  if (!arguments.style.empty()) {
    options.heat = arguments.style == "heat";
    options.focus = arguments.style == "focus";
  }
  if (!arguments.format.empty()) {
    options.mp4 = arguments.format == "mp4";
    options.png = arguments.format == "png";
  }
  const FinishedRun run(arguments.work_dir);
  const std::vector<StoredClip> clips =
      arguments.clips.empty() ? run.clips() : run.find(arguments.clips);
  const std::filesystem::path folder =
      arguments.out.empty() ? run.folder() / kOverlaysName : std::filesystem::path(arguments.out);
  if (run.header().random_weights) fmt::print("RANDOM WEIGHTS: the pictures say nothing\n");
  const RenderSummary summary =
      render_clips(run, clips, options, folder, [](const std::string& line) {
        fmt::print("{}\n", line);
        std::fflush(stdout);
      });
  fmt::print("{} clips rendered, {} failed, {} tubes constant; {} files, listed in {}\n",
             summary.clips, summary.failed, summary.constant, summary.files,
             (folder / "listing.csv").string());
  if (summary.failed > 0) {
    fmt::print(stderr, "cfp: the media of {} clips are gone or changed\n", summary.failed);
  }
  return summary.failed > 0 ? ExitCode::kTooManyFailures : ExitCode::kDone;
}

}  // namespace

void add_render(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("render", "Draw tubes over the frames of clips that a run explained");
  verb->add_option("work_dir", arguments->work_dir, "Folder of a finished run")->required();
  verb->add_option("clips", arguments->clips, "Ids of clips; without them, every clip");
  CLI::Option* layer = verb->add_option("--layer", arguments->options.layers,
                                        "A layer by name; may be given more than once")
                           ->type_name("NAME")
                           ->take_all()
                           ->expected(1);
  verb->add_option("--depth", arguments->depth,
                   "All layers of depth up to it; without it and --layer, four layers evenly "
                   "spread")
      ->check(CLI::Range(1, 1'000'000))
      ->excludes(layer);
  verb->add_option("--target", arguments->options.target,
                   "Which of several targets of a clip, from 0")
      ->check(CLI::Range(0, 1'000'000));
  verb->add_option("--style", arguments->style,
                   "heat (colours over the frame) or focus (dark elsewhere); without it, both")
      ->check(CLI::IsMember({"heat", "focus"}));
  verb->add_option("--format", arguments->format,
                   "mp4 (videos) or png (a folder of frames); without it, both")
      ->check(CLI::IsMember({"mp4", "png"}));
  verb->add_flag("--sheet", arguments->options.sheet, "A contact sheet of each layer besides");
  verb->add_option("--out", arguments->out, "Folder to write to; without it, WORK_DIR/overlays")
      ->type_name("DIR");
  verb->callback([arguments, &command] { command = [arguments] { return render(*arguments); }; });
}

}  // namespace cfp
