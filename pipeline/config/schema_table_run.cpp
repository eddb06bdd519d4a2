// The keys of the sections network, explain, runtime and output.

#include <algorithm>
#include <iterator>

#include "pipeline/config/schema_table.h"
#include "stages/network/builders.h"
#include "stages/network/checkpoint/load_network.h"

namespace cfp {
namespace {

constexpr ValueKind kBoolean = ValueKind::kBoolean;
constexpr ValueKind kInteger = ValueKind::kInteger;
constexpr ValueKind kReal = ValueKind::kReal;
constexpr ValueKind kText = ValueKind::kText;

Keys basic_network_keys() {
  std::vector<std::string> types = architecture_names();
  types.emplace_back(kExportedType);
  return {
      {.path = "network.type",
       .words = std::move(types),
       .default_yaml = "null",
       .meaning = "Architecture; unset: what the checkpoint names. `exported`: any other, as "
                  "`scripts/export_network.py` wrote it to `network.file`."},
      {.path = "network.file",
       .kinds = {kText},
       .default_yaml = "null",
       .meaning = "With `type: exported`: the archive of `torch.export`, weights included."},
      {.path = "network.output",
       .kinds = {kInteger},
       .default_yaml = "0",
       .minimum = 0,
       .maximum = 1000,
       .meaning = "With `type: exported`: which of several outputs gives the logits, from 0."},
      {.path = "network.num_classes",
       .kinds = {kInteger},
       .default_yaml = "null",
       .minimum = 1,
       .maximum = 100'000,
       .meaning = "Classes of the classifier; unset: what the checkpoint has, 400 for `random`."},
      {.path = "network.checkpoint",
       .kinds = {kText},
       .words = {"random"},
       .default_yaml = "null",
       .meaning = "Must be given but with `type: exported`. Weights: a `.pth`, `.pt` or "
                  "`.safetensors` file, or `random` for weights from a "
                  "formula, to try things out."},
      {.path = "network.class_names",
       .kinds = {kText},
       .default_yaml = "null",
       .meaning =
           "File of class names in the order of the logits, one a line, or `dataset`: the outputs "
           "are in the data set's own order, be it of names or of numbers; unset: what the "
           "checkpoint brings."},
      {.path = "network.seed",
       .kinds = {kInteger},
       .default_yaml = "0",
       .minimum = 0,
       .meaning = "Seed of the weights of `checkpoint: random`."},
  };
}

/// Keys that change an architecture; unset: as published, or as the checkpoint says.
Keys architecture_keys() {
  const auto number = [](std::string leaf, std::string meaning) {
    return KeySpec{.path = "network." + leaf,
                   .kinds = {kInteger},
                   .default_yaml = "null",
                   .minimum = 1,
                   .maximum = 65'536,
                   .meaning = std::move(meaning)};
  };
  const auto triple = [](std::string leaf, std::string meaning) {
    return KeySpec{.path = "network." + leaf,
                   .list_of = {kInteger},
                   .list_min = 3,
                   .list_max = 3,
                   .default_yaml = "null",
                   .minimum = 1,
                   .maximum = 1024,
                   .meaning = std::move(meaning)};
  };
  return {
      {.path = "network.blocks",
       .list_of = {kInteger},
       .list_min = 1,
       .list_max = 16,
       .default_yaml = "null",
       .minimum = 1,
       .maximum = 1000,
       .meaning = "Blocks or units of each stage; this and the keys below change an architecture, "
                  "unset they are as the checkpoint says or as published."},
      number("base_width", "Channels of the first stage; see docs/networks.md."),
      number("expansion", "Channels that leave a block per channel inside it; ResNets only."),
      number("groups", "Groups of the 3x3x3 convolutions, or fibres; not for I3D."),
      number("stem_channels", "Channels of the first convolution; not for I3D."),
      triple("stem_kernel", "Kernel of the first convolution over time, height and width; odd."),
      triple("stem_stride", "Stride of the first convolution over time, height and width."),
      {.path = "network.stem_pool",
       .kinds = {kBoolean},
       .default_yaml = "null",
       .meaning = "Whether a maximum pooling follows the first convolution."},
      triple("final_pool", "Window before the classifier; Multi-Fiber Net and I3D only."),
  };
}

}  // namespace

Keys network_keys() {
  Keys keys = basic_network_keys();
  std::ranges::move(architecture_keys(), std::back_inserter(keys));
  return keys;
}

Keys explain_keys() {
  return {
      {.path = "explain.method",
       .words = {"gradient", "excitation", "response", "published"},
       .default_yaml = "gradient",
       .meaning = "How kernels are scored; see docs/method.md."},
      {.path = "explain.target",
       .kinds = {kText, kInteger},
       .words = {"label", "prediction", "top_k"},
       .default_yaml = "label",
       .minimum = 0,
       .maximum = 100'000,
       .meaning = "Which class is explained: each clip's label (its prediction where it has none), "
                  "its prediction, one class by name or index, or the top_k classes that it gives "
                  "most to, each with a pyramid of its own from one forward pass."},
      {.path = "explain.top_k",
       .kinds = {kInteger},
       .default_yaml = "5",
       .minimum = 1,
       .maximum = 1000,
       .unit = "classes",
       .meaning = "How many classes `target: top_k` explains; all, where the network has fewer."},
      {.path = "explain.margin",
       .kinds = {kBoolean},
       .default_yaml = "false",
       .meaning = "Explain the margin over all other classes instead of the logit; only with "
                  "`method: gradient`."},
      {.path = "explain.threshold",
       .kinds = {kReal},
       .default_yaml = "0.3",
       .minimum = 0,
       .maximum = 1,
       .meaning = "Channels count as found from this share of the best score of their tensor."},
      {.path = "explain.balance",
       .kinds = {kReal},
       .default_yaml = "0.5",
       .minimum = 0,
       .maximum = 1,
       .meaning = "Weight of evidence against the class: score = positive - balance * negative."},
      {.path = "explain.top_n",
       .kinds = {kInteger},
       .default_yaml = "null",
       .minimum = 1,
       .maximum = 100'000,
       .unit = "channels",
       .meaning = "At most so many found channels a tensor; unset: no limit."},
      {.path = "explain.edge_threshold",
       .kinds = {kReal},
       .default_yaml = "0",
       .minimum = 0,
       .maximum = 1,
       .meaning = "Edges below this share of a kernel's strongest edge are left out."},
      {.path = "explain.depth",
       .kinds = {kInteger},
       .words = {"all"},
       .list_of = {kText},
       .list_min = 1,
       .default_yaml = "3",
       .minimum = 1,
       .maximum = 10'000,
       .unit = "layers",
       .meaning = "How far to go down from the class: a number of layers, all, or a list of layer "
                  "names."},
      {.path = "explain.tubes",
       .words = {"none", "excitation", "weighted"},
       .default_yaml = "excitation",
       .meaning = "Saliency volumes to compute for each layer of the pyramid."},
      {.path = "explain.views",
       .words = {"separate", "averaged"},
       .default_yaml = "separate",
       .meaning =
           "Where a video is seen in several views (`sampling.num_clips`): a pyramid for each, "
           "or one, the average. Logits are averaged in any case."},
  };
}

Keys runtime_keys() {
  return {
      {.path = "runtime.devices",
       .words = {"auto"},
       .list_of = {kText},
       .list_min = 1,
       .list_max = 64,
       .default_yaml = "auto",
       .changes_results = false,
       .meaning = "One network replica for each entry (`cpu`, `cuda:0`, …; one named twice gives "
                  "two); auto: all CUDA devices, else the CPU."},
      {.path = "runtime.batch_size",
       .kinds = {kInteger},
       .default_yaml = "4",
       .minimum = 1,
       .maximum = 1024,
       .unit = "clips",
       .changes_results = false,
       .meaning = "Clips that go through the network at once."},
      {.path = "runtime.decode_workers",
       .kinds = {kInteger},
       .words = {"auto"},
       .default_yaml = "auto",
       .minimum = 1,
       .maximum = 256,
       .unit = "threads",
       .changes_results = false,
       .meaning = "Clips that are decoded at once; auto: one a processor."},
      {.path = "runtime.max_batches_in_flight",
       .kinds = {kInteger},
       .default_yaml = "4",
       .minimum = 1,
       .maximum = 256,
       .unit = "batches",
       .changes_results = false,
       .meaning =
           "Bound of what is in memory at once, decoded, computed or waiting to be written."},
      {.path = "runtime.threads_per_device",
       .kinds = {kInteger},
       .words = {"auto"},
       .default_yaml = "auto",
       .minimum = 1,
       .maximum = 256,
       .unit = "threads",
       .changes_results = false,
       .meaning =
           "Threads of one CPU replica; auto: the processors shared among the CPU replicas."},
      {.path = "runtime.clip_timeout_s",
       .kinds = {kReal},
       .default_yaml = "60",
       .minimum = 0,
       .above_minimum = true,
       .maximum = 86'400,
       .unit = "seconds",
       .changes_results = false,
       .meaning = "Longest time that decoding one clip may take; beyond it the clip is a failure."},
      {.path = "runtime.grace_s",
       .kinds = {kReal},
       .default_yaml = "20",
       .minimum = 0,
       .maximum = 86'400,
       .unit = "seconds",
       .changes_results = false,
       .meaning =
           "After a signal: how long clips in flight are waited for, before what is finished "
           "is written and the run ends, to be resumed."},
  };
}

Keys output_keys() {
  return {
      {.path = "output.work_dir",
       .kinds = {kText},
       .default_yaml = "work_dirs/${name}",
       .changes_results = false,
       .meaning = "Folder of the results; made where it does not exist."},
      {.path = "output.overwrite",
       .kinds = {kBoolean},
       .default_yaml = "false",
       .changes_results = false,
       .meaning =
           "Whether the results of an earlier run in the same folder are removed first, as by "
           "`cfp run --fresh`; else the run goes on from them."},
      {.path = "output.edges",
       .kinds = {kBoolean},
       .default_yaml = "true",
       .meaning = "Keep the edges between found kernels and channels."},
      {.path = "output.tubes",
       .words = {"none", "float32", "uint16", "uint8"},
       .default_yaml = "float32",
       .meaning =
           "How tubes are stored: as they are, or as 65535 or 255 steps between the smallest "
           "and the largest value of each, which is off by half a step at most; none: they "
           "are not computed either."},
      {.path = "output.edge_scores",
       .words = {"float32", "uint16"},
       .default_yaml = "float32",
       .meaning =
           "How scores of edges are stored: as they are, or as 65535 steps up to the layer's "
           "largest."},
      {.path = "output.compression",
       .kinds = {kInteger},
       .words = {"auto", "none"},
       .default_yaml = "auto",
       .minimum = 1,
       .maximum = 9,
       .changes_results = false,
       .meaning = "Level of deflate (gzip), behind a shuffle of bytes; auto: 4, of floats 1, as "
                  "measured (docs/performance.md)."},
      {.path = "output.chunk_kb",
       .kinds = {kInteger},
       .default_yaml = "32",
       .minimum = 1,
       .maximum = 1024,
       .unit = "kB",
       .changes_results = false,
       .meaning = "What HDF5 packs and reads at once of a dataset, and what a run keeps in memory "
                  "of each; a clip at least, 64 clips at most."},
      {.path = "output.part_clips",
       .kinds = {kInteger},
       .default_yaml = "64",
       .minimum = 1,
       .maximum = 1'000'000,
       .unit = "clips",
       .changes_results = false,
       .meaning = "Clips of one HDF5 part, rounded up to whole batches: what a run that is killed "
                  "loses at most, besides the clips in flight."},
      {.path = "output.summary_clips",
       .kinds = {kInteger},
       .default_yaml = "8",
       .minimum = 0,
       .maximum = 200,
       .unit = "clips",
       .changes_results = false,
       .meaning = "Clips that summary.html shows with frames and tubes."},
      {.path = "output.render",
       .kinds = {kInteger},
       .default_yaml = "0",
       .minimum = 0,
       .maximum = 100'000,
       .unit = "clips",
       .changes_results = false,
       .meaning =
           "Clips, from the first on, whose tubes are drawn as videos and frames at the end, "
           "as `cfp render` does."},
  };
}

}  // namespace cfp
