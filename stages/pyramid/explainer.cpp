#include "stages/pyramid/explainer.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/network/device_errors.h"
#include "stages/network/executor.h"
#include "stages/network/network.h"
#include "stages/pyramid/explainer_parts.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/row_passes.h"
#include "stages/pyramid/scorer.h"
#include "stages/pyramid/tubes.h"

namespace cfp {
namespace {

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

void check_target(const ExplainOptions& options, const Network& network) {
  if (options.target == TargetKind::kClass &&
      (options.target_class < 0 || options.target_class >= network.num_classes())) {
    throw ConfigError(fmt::format("explain.target: class {} is not among the network's 0..{}",
                                  options.target_class, network.num_classes() - 1));
  }
}

bool share_walk(const ExplainOptions& a, const ExplainOptions& b) {
  return a.method == b.method && a.target == b.target && a.target_class == b.target_class &&
         a.top_k == b.top_k && a.margin == b.margin;
}

std::vector<SharedWalk> share_walks(const NetworkGraph& graph,
                                    const std::vector<ExplainOptions>& options) {
  std::vector<SharedWalk> walks;
  for (std::size_t place = 0; place < options.size(); ++place) {
    const ExplainOptions& each = options[place];
    auto walk = std::ranges::find_if(
        walks, [&](const SharedWalk& known) { return share_walk(known.target(), each); });
    if (walk == walks.end()) walk = walks.insert(walks.end(), {make_scorer(each.method), {}, {}});
    walk->requests.push_back({each, plan_pyramid(graph, each)});
    walk->places.push_back(place);
  }
  return walks;
}

void add_needs(ForwardPlan& all, ForwardPlan more) {
  for (std::size_t id = 0; id < more.keep.size(); ++id) {
    if (more.keep[id]) all.keep[id] = true;
  }
  for (std::size_t id = 0; id < more.windows.size(); ++id) {
    for (const Window& window : more.windows[id]) {
      std::vector<Window>& known = all.windows[id];
      if (std::ranges::find(known, window) == known.end()) known.push_back(window);
    }
  }
}

/// What the forward pass must leave behind for all walks and their tubes.
ForwardPlan needs_of(const NetworkGraph& graph, const std::vector<SharedWalk>& walks) {
  const auto nodes = static_cast<std::size_t>(graph.size());
  ForwardPlan all{std::vector<bool>(nodes, false), std::vector<std::vector<Window>>(nodes)};
  for (const SharedWalk& walk : walks) {
    add_needs(all, walk.scorer->needs(graph, wanted_by_any(walk.requests)));
    for (const auto& [options, plan] : walk.requests) {
      add_needs(all, {values_of_tubes(graph, plan, options.tubes), {}});
    }
  }
  return all;
}

}  // namespace

std::vector<std::string> available_devices() {
  std::vector<std::string> devices;
  for (int i = 0; i < cuda_devices(); ++i) devices.push_back(fmt::format("cuda:{}", i));
  if (devices.empty()) devices.emplace_back("cpu");
  return devices;
}

std::span<const Clip> first_row(std::span<const Clip> clips) {
  std::size_t count = 0;
  while (count < clips.size() && clips[count].request.row == clips[0].request.row) ++count;
  return clips.first(count);
}

Explainer::Explainer(std::shared_ptr<const Network> network, PreprocessOptions preprocess,
                     ExplainOptions options, DeviceOptions device)
    : Explainer(std::move(network), std::move(preprocess), std::vector{std::move(options)},
                std::move(device)) {}

Explainer::Explainer(std::shared_ptr<const Network> network, PreprocessOptions preprocess,
                     const std::vector<ExplainOptions>& options, DeviceOptions device) {
  for (const ExplainOptions& each : options) {
    check_target(each, *network);
    if (each.views != options.front().views) {
      throw std::invalid_argument("explanations that share a forward pass treat views alike");
    }
  }
  const at::Device where = parse_device(device.device);
  auto executor = std::make_shared<const Executor>(*network, ExecutorOptions{.device = where});
  std::vector<SharedWalk> walks = share_walks(executor->graph(), options);
  ForwardPlan needs = needs_of(executor->graph(), walks);
  Normalisation normalisation = normalisation_of(preprocess, where);
  parts_ = std::make_unique<ExplainerParts>(ExplainerParts{
      std::move(network), std::move(device), where, std::move(executor), std::move(walks),
      options.size(), options.front().views, std::move(needs), std::move(normalisation)});
}

Explainer::~Explainer() = default;
Explainer::Explainer(Explainer&&) noexcept = default;
Explainer& Explainer::operator=(Explainer&&) noexcept = default;

Explainer Explainer::replica() const {
  Explainer copy(*this->parts_);
  return copy;
}

Explainer::Explainer(const ExplainerParts& parts)
    : parts_(std::make_unique<ExplainerParts>(parts)) {}

std::vector<RowExplanation> Explainer::explain(const std::vector<std::span<const Clip>>& rows,
                                               std::span<const Clip> clips,
                                               std::size_t batch_size) {
  if (clips.empty()) return {};
  const c10::InferenceMode guard;
  const ExplainerParts& parts = *parts_;
  if (parts.device_options.threads > 0 && at::get_num_threads() != parts.device_options.threads) {
    at::set_num_threads(parts.device_options.threads);
  }
  try {
    return RowPasses(parts, rows, clips, batch_size).run();
  } catch (...) {
    rethrow_device_error(parts.device,
                         fmt::format("failed on a batch of {} clip(s), the first of them '{}'",
                                     clips.size(), clips.front().request.clip_id));
  }
}

std::vector<ExplainOutcome> Explainer::explain(std::span<const Clip> clips) {
  std::vector<std::span<const Clip>> rows;
  for (std::size_t i = 0; i < clips.size(); ++i) rows.push_back(clips.subspan(i, 1));
  std::vector<ExplainOutcome> outcomes;
  for (RowExplanation& row : explain(rows, clips, clips.size())) {
    if (auto* failure = std::get_if<Failure>(&row)) {
      outcomes.emplace_back(std::move(*failure));
    } else {
      outcomes.emplace_back(std::move(std::get<0>(row).front()));
    }
  }
  return outcomes;
}

std::vector<RowExplanation> Explainer::explain_rows(std::span<const Clip> clips,
                                                    std::size_t batch_size) {
  std::vector<std::span<const Clip>> rows;
  for (std::span<const Clip> rest = clips; !rest.empty(); rest = rest.subspan(rows.back().size())) {
    rows.push_back(first_row(rest));
  }
  return explain(rows, clips, batch_size);
}

void Explainer::warm_up(int clip_len, int height, int width) {
  Clip clip;
  clip.frames = {.length = clip_len, .height = height, .width = width};
  clip.frames.rgb_thwc.assign(
      static_cast<std::size_t>(std::int64_t{1} * clip_len * height * width * 3), 127);
  clip.request.label = 0;
  explain(std::span(&clip, 1));
}

}  // namespace cfp
