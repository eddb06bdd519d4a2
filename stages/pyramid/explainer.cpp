#include "stages/pyramid/explainer.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/executor.h"
#include "stages/network/network.h"
#include "stages/network/tensor_kernels.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/scorer.h"
#include "stages/pyramid/tubes.h"

namespace cfp {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

int cuda_devices() { return at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0; }

at::Device parse_device(const std::string& name) {
  try {
    const at::Device device(name);
    if (device.is_cpu()) return device;
    const int count = device.is_cuda() ? cuda_devices() : 0;
    if (device.index() < count) return device;
    throw SystemError(fmt::format(
        "device '{}' is not there: LibTorch sees {} device(s) of its kind", name, count));
  } catch (const c10::Error& error) {
    throw ConfigError(fmt::format("runtime.devices: '{}' is no device: {}", name,
                                  error.what_without_backtrace()));
  }
}

/// What 8-bit values become: x * scale + shift, channel by channel.
struct Normalisation {
  at::Tensor scale, shift;  ///< [3]
  std::shared_ptr<const BoundedInput> input;
};

Normalisation normalisation_of(const PreprocessOptions& options, at::Device device) {
  Normalisation result;
  std::vector<double> scale, shift;
  InputBounds bounds;
  for (std::size_t c = 0; c < 3; ++c) {
    scale.push_back((options.range_max - options.range_min) / 255 / options.std[c]);
    shift.push_back((options.range_min - options.mean[c]) / options.std[c]);
    bounds.low.push_back(shift[c]);
    bounds.high.push_back(255 * scale[c] + shift[c]);
  }
  result.input = std::make_shared<const BoundedInput>(std::move(bounds));
  result.scale = at::tensor(scale, at::kDouble).to(device, at::kFloat);
  result.shift = at::tensor(shift, at::kDouble).to(device, at::kFloat);
  return result;
}

}  // namespace

struct Explainer::Parts {
  std::shared_ptr<const Network> network;
  ExplainOptions options;
  DeviceOptions device_options;
  at::Device device;
  std::shared_ptr<const Executor> executor;
  std::shared_ptr<const Scorer> scorer;
  PyramidPlan plan;
  ForwardPlan needs;  ///< of scorer and tubes
  Normalisation normalisation;

  /// Clips of one size as one normalised batch [B, 3, T, H, W].
  at::Tensor to_batch(std::span<const Clip> clips) const {
    const Frames& first = clips.front().frames;
    at::Tensor bytes = at::empty(
        {static_cast<std::int64_t>(clips.size()), first.length, first.height, first.width, 3},
        at::TensorOptions(at::kByte).pinned_memory(!device.is_cpu()));
    for (std::size_t b = 0; b < clips.size(); ++b) {
      const Frames& frames = clips[b].frames;
      if (frames.length != first.length || frames.height != first.height ||
          frames.width != first.width) {
        throw std::invalid_argument("clips of one batch have one size");
      }
      std::memcpy(bytes[static_cast<std::int64_t>(b)].data_ptr<std::uint8_t>(),
                  frames.rgb_thwc.data(), frames.rgb_thwc.size());
    }
    const at::Tensor ncthw =
        bytes.to(device, at::kFloat, /*non_blocking=*/true).permute({0, 4, 1, 2, 3});
    return scale_shift(ncthw, normalisation.scale, normalisation.shift, false);
  }

  /// How many pyramids each clip gets.
  int rounds() const {
    if (options.target != TargetKind::kTopK) return 1;
    return std::min(options.top_k, network->num_classes());
  }

  /// @param ranking class indices of the clip, the largest logit first
  int class_of(const Clip& clip, const at::Tensor& ranking, int round) const {
    const auto ranked = [&](int k) { return ranking[k].item<int>(); };
    switch (options.target) {
      case TargetKind::kLabel:
        return clip.request.label.value_or(ranked(0));
      case TargetKind::kPrediction:
        return ranked(0);
      case TargetKind::kClass:
        return options.target_class;
      case TargetKind::kTopK:
        return ranked(round);
    }
    throw std::logic_error("TargetKind out of range");
  }

  /// What of the logits is explained: the class, or the class against the others.
  at::Tensor target_weights(const at::Tensor& logits, const std::vector<int>& classes) const {
    at::Tensor weights = at::zeros_like(logits);
    for (std::size_t b = 0; b < classes.size(); ++b) {
      at::Tensor row = weights[static_cast<std::int64_t>(b)];
      if (options.margin) {
        at::Tensor others = logits[static_cast<std::int64_t>(b)].clone();
        others[classes[b]].fill_(-std::numeric_limits<double>::infinity());
        row.copy_(-at::softmax(others, 0));
      }
      row[classes[b]].fill_(1);
    }
    return weights;
  }

  Targets targets(std::span<const Clip> clips, const at::Tensor& logits, int round) const {
    const at::Tensor ranking = logits.argsort(/*stable=*/true, 1, /*descending=*/true);
    Targets result;
    for (std::size_t b = 0; b < clips.size(); ++b) {
      result.classes.push_back(class_of(clips[b], ranking[static_cast<std::int64_t>(b)], round));
    }
    result.weights = target_weights(logits, result.classes);
    return result;
  }

  /// What is known of each clip before it is explained.
  std::vector<ClipResult> describe(std::span<const Clip> clips, const at::Tensor& logits,
                                   double network_s) const;
  /// Adds to each clip the pyramid of its target.
  void add_pyramids(const Trace& trace, const Targets& targets,
                    std::vector<ClipResult>& results) const;
  Pyramid assemble(std::vector<NodeRelevance>& relevance, std::vector<Tube>* tubes,
                   PyramidTarget target) const;
};

namespace {

/// The sum at a node, if it is one and the pyramid covers it.
bool covered_sum(const Node& node, const NodeRelevance& known) {
  (void)node;
  return known.addends.size() == 2 && known.value.has_value();
}

PyramidAddition make_addition(const NetworkGraph& graph, NodeId id, const NodeRelevance& known) {
  const Node& node = graph.node(id);
  const auto* conv = std::get_if<Conv3d>(&node.op);
  PyramidAddition addition;
  addition.name = conv != nullptr ? conv->addition : node.name;
  addition.sum = *known.value;
  addition.addends = known.addends;
  addition.addend_names = {conv != nullptr ? node.name : graph.node(node.inputs[0]).name,
                           graph.node(node.inputs[1]).name};
  return addition;
}

}  // namespace

Pyramid Explainer::Parts::assemble(std::vector<NodeRelevance>& relevance, std::vector<Tube>* tubes,
                                   PyramidTarget target) const {
  const NetworkGraph& graph = executor->graph();
  Pyramid pyramid{.target = std::move(target), .method = options.method};
  for (NodeId id = graph.output(); id >= 0; --id) {
    const NodeRelevance& known = relevance[index(id)];
    if (covered_sum(graph.node(id), known)) {
      pyramid.additions.push_back(make_addition(graph, id, known));
    }
  }
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    const PyramidPlan::Layer& layer = plan.layers[l];
    NodeRelevance& known = relevance[index(layer.node)];
    PyramidLayer out{.name = graph.node(layer.node).name, .depth = layer.depth};
    out.kernels = std::move(*known.kernels);
    out.channels = *relevance[index(layer.entering)].value;
    out.edges = std::move(known.edges);
    if (tubes != nullptr) out.tube = std::move((*tubes)[l]);
    pyramid.layers.push_back(std::move(out));
  }
  return pyramid;
}

std::vector<ClipResult> Explainer::Parts::describe(std::span<const Clip> clips,
                                                   const at::Tensor& logits,
                                                   double network_s) const {
  std::vector<ClipResult> results;
  for (std::size_t b = 0; b < clips.size(); ++b) {
    const at::Tensor row = logits[static_cast<std::int64_t>(b)];
    const ClipRequest& request = clips[b].request;
    ClipResult result{.row = request.row,
                      .clip_id = request.clip_id,
                      .path = request.media.path,
                      .view = clips[b].view,
                      .label = request.label.value_or(-1),
                      .prediction = row.argmax().item<int>()};
    result.logits.assign(row.data_ptr<float>(), row.data_ptr<float>() + row.numel());
    result.frame_times_s = clips[b].frame_times_s;
    result.decode_s = clips[b].decode_s;
    result.network_s = network_s;
    results.push_back(std::move(result));
  }
  return results;
}

void Explainer::Parts::add_pyramids(const Trace& trace, const Targets& targets,
                                    std::vector<ClipResult>& results) const {
  const TracedBatch batch{*executor, *network, trace, *normalisation.input, plan, options};
  Scores scores = scorer->score(batch, targets);
  if (options.tubes == TubeKind::kExcitation && scores.tubes.empty()) {
    scores.tubes = excitation_tubes(*executor, trace, targets.classes, *normalisation.input, plan,
                                    scores.relevance);
  } else if (options.tubes == TubeKind::kWeighted) {
    scores.tubes = weighted_tubes(trace, plan, scores.relevance);
  }
  const at::Tensor values = (trace.logits.to(at::kCPU, at::kFloat) * targets.weights).sum(1);
  for (std::size_t b = 0; b < results.size(); ++b) {
    results[b].pyramids.push_back(assemble(scores.relevance[b],
                                           scores.tubes.empty() ? nullptr : &scores.tubes[b],
                                           {targets.classes[b], options.margin ? "margin" : "logit",
                                            values[static_cast<std::int64_t>(b)].item<double>()}));
  }
}

std::vector<std::string> available_devices() {
  std::vector<std::string> devices;
  for (int i = 0; i < cuda_devices(); ++i) devices.push_back(fmt::format("cuda:{}", i));
  if (devices.empty()) devices.emplace_back("cpu");
  return devices;
}

Explainer::Explainer(std::shared_ptr<const Network> network, PreprocessOptions preprocess,
                     ExplainOptions options, DeviceOptions device) {
  std::shared_ptr<const Scorer> scorer = make_scorer(options.method);
  if (options.target == TargetKind::kClass &&
      (options.target_class < 0 || options.target_class >= network->num_classes())) {
    throw ConfigError(fmt::format("explain.target: class {} is not among the network's 0..{}",
                                  options.target_class, network->num_classes() - 1));
  }
  const at::Device where = parse_device(device.device);
  auto executor = std::make_shared<const Executor>(*network, ExecutorOptions{.device = where});
  PyramidPlan plan = plan_pyramid(executor->graph(), options);
  ForwardPlan needs = scorer->needs(executor->graph(), plan);
  const std::vector<bool> read_by_tubes = values_of_tubes(executor->graph(), plan, options.tubes);
  needs.keep.resize(read_by_tubes.size());
  for (std::size_t id = 0; id < read_by_tubes.size(); ++id) {
    if (read_by_tubes[id]) needs.keep[id] = true;
  }
  Normalisation normalisation = normalisation_of(preprocess, where);
  parts_ = std::make_unique<Parts>(
      Parts{std::move(network), std::move(options), std::move(device), where, std::move(executor),
            std::move(scorer), std::move(plan), std::move(needs), std::move(normalisation)});
}

Explainer::~Explainer() = default;
Explainer::Explainer(Explainer&&) noexcept = default;
Explainer& Explainer::operator=(Explainer&&) noexcept = default;

Explainer Explainer::replica() const {
  Explainer copy(*this->parts_);
  return copy;
}

Explainer::Explainer(const Parts& parts) : parts_(std::make_unique<Parts>(parts)) {}

std::vector<ExplainOutcome> Explainer::explain(std::span<const Clip> clips) {
  if (clips.empty()) return {};
  const c10::InferenceMode guard;
  Parts& parts = *parts_;
  if (parts.device_options.threads > 0 && at::get_num_threads() != parts.device_options.threads) {
    at::set_num_threads(parts.device_options.threads);
  }
  try {
    const auto start = Clock::now();
    const Trace trace = parts.executor->forward(parts.to_batch(clips), parts.needs);
    const at::Tensor logits = trace.logits.to(at::kCPU, at::kFloat).contiguous();
    const double network_s = seconds_since(start) / static_cast<double>(clips.size());

    const auto pyramid_start = Clock::now();
    std::vector<ClipResult> results = parts.describe(clips, logits, network_s);
    for (int round = 0; round < parts.rounds(); ++round) {
      parts.add_pyramids(trace, parts.targets(clips, logits, round), results);
    }
    std::vector<ExplainOutcome> outcomes;
    for (std::size_t b = 0; b < clips.size(); ++b) {
      const ClipRequest& request = clips[b].request;
      if (at::isfinite(logits[static_cast<std::int64_t>(b)]).all().item<bool>()) {
        outcomes.emplace_back(std::move(results[b]));
      } else {
        outcomes.emplace_back(Failure{request.row, request.clip_id, request.media.path, "network",
                                      FailureReason::kNotFinite,
                                      "the network's logits hold a value that is not finite"});
      }
    }
    const double pyramid_s = seconds_since(pyramid_start) / static_cast<double>(clips.size());
    for (ExplainOutcome& outcome : outcomes) {
      if (auto* result = std::get_if<ClipResult>(&outcome)) result->pyramid_s = pyramid_s;
    }
    return outcomes;
  } catch (const c10::Error& error) {
    throw SystemError(fmt::format("{} failed on a batch of {} clip(s), the first of them '{}': {}",
                                  parts.device.str(), clips.size(), clips.front().request.clip_id,
                                  error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    throw SystemError(fmt::format("out of memory on a batch of {} clip(s), the first of them '{}'",
                                  clips.size(), clips.front().request.clip_id));
  }
}

void Explainer::warm_up(int clip_len, int height, int width) {
  Clip clip;
  clip.frames = {.length = clip_len, .height = height, .width = width};
  clip.frames.rgb_thwc.assign(index(std::int64_t{1} * clip_len * height * width * 3), 127);
  clip.request.label = 0;
  explain(std::span(&clip, 1));
}

}  // namespace cfp
