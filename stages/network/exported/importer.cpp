#include "stages/network/exported/importer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"
#include "stages/network/checkpoint/bytes.h"

namespace cfp {
namespace {

/// Most channels or positions that a value may have, as in graph_rules.h.
constexpr std::int64_t kLongestAxis = 1 << 16;
/// Most numbers that a value of one clip may have.
constexpr std::int64_t kMostValues = std::int64_t{1} << 36;

}  // namespace

Importer::Importer(const ExportedProgram& program) : program_(program) {
  for (const auto& [name, constant] : program.constants) {
    values_[name] = constant;
    const std::size_t dot = constant.name.rfind('.');
    parameter_names_.insert(constant.name.substr(0, dot));
  }
  const Sizes& sizes = program.input_shape;
  const auto fail = [&](std::string_view why) {
    refuse_file(program.path, fmt::format("its input is {}: {}", fmt::join(sizes, "x"), why));
  };
  if (sizes.size() != 5) fail("a clip has five axes, batch, channels, T, H, W");
  for (const std::int64_t size : sizes) {
    if (size < 1 || size > kLongestAxis) fail("an axis is empty or too long");
  }
  const bool frames_first = sizes[1] != 3 && sizes[2] == 3;
  if (!frames_first && sizes[1] != 3) fail("no axis of 3 channels stands second or third");
  const std::size_t time = frames_first ? 1 : 2;
  clip_size_ = {static_cast<int>(sizes[time]), static_cast<int>(sizes[3]),
                static_cast<int>(sizes[4])};
  graph_.add("input", Input{});
  taken_.insert("input");
  shapes_.push_back({3, clip_size_});
  Layout layout{whole_axis(AxisKind::kBatch, sizes[0]), whole_axis(AxisKind::kChannel, 3),
                whole_axis(AxisKind::kTime, sizes[time]), whole_axis(AxisKind::kHeight, sizes[3]),
                whole_axis(AxisKind::kWidth, sizes[4])};
  if (frames_first) std::swap(layout[1], layout[2]);
  values_[program.input] = Activation{0, std::move(layout), {}};
}

const std::map<std::string_view, Importer::Handler>& Importer::handlers() {
  static const std::map<std::string_view, Handler> all = [] {
    std::map<std::string_view, Handler> table;
    const auto put = [&](Handler handler, std::initializer_list<std::string_view> names) {
      for (const std::string_view name : names) table[name] = handler;
    };
    put(&Importer::convolution,
        {"aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.convolution", "aten.conv_transpose1d",
         "aten.conv_transpose2d", "aten.conv_transpose3d"});
    put(&Importer::batch_norm, {"aten.batch_norm", "aten._native_batch_norm_legit_no_training",
                                "aten.native_batch_norm", "aten.cudnn_batch_norm"});
    put(&Importer::linear, {"aten.linear"});
    put(&Importer::matrix_product, {"aten.addmm", "aten.mm"});
    put(&Importer::batched_product, {"aten.bmm"});
    put(&Importer::max_pool, {"aten.max_pool1d", "aten.max_pool2d", "aten.max_pool3d",
                              "aten.max_pool2d_with_indices", "aten.max_pool3d_with_indices"});
    put(&Importer::average_pool, {"aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d"});
    put(&Importer::adaptive_pool,
        {"aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d",
         "aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d", "aten.adaptive_max_pool2d",
         "aten.adaptive_max_pool3d"});
    put(&Importer::mean, {"aten.mean"});
    put(&Importer::maximum, {"aten.amax"});
    put(&Importer::same,
        {"aten.alias", "aten.clone", "aten.contiguous", "aten.detach", "aten.to", "aten._to_copy",
         "aten.lift_fresh_copy", "aten.dropout", "aten.dropout3d", "aten.feature_dropout",
         "aten.alpha_dropout", "aten.float", "aten.type_as"});
    put(&Importer::nothing, {"aten._assert_tensor_metadata", "aten._assert_async",
                             "aten._assert_scalar", "aten.sym_constrain_range_for_size"});
    put(&Importer::softmax,
        {"aten.softmax", "aten._softmax", "aten.log_softmax", "aten._log_softmax"});
    put(&Importer::view,
        {"aten.view", "aten.reshape", "aten._unsafe_view", "aten.view_copy", "aten._reshape_copy"});
    put(&Importer::flatten, {"aten.flatten"});
    put(&Importer::unflatten, {"aten.unflatten"});
    put(&Importer::permute, {"aten.permute", "aten.permute_copy"});
    put(&Importer::move_axes, {"aten.movedim", "aten.moveaxis"});
    put(&Importer::transpose, {"aten.transpose", "aten.t", "aten.swapaxes"});
    put(&Importer::squeeze, {"aten.squeeze"});
    put(&Importer::unsqueeze, {"aten.unsqueeze"});
    put(&Importer::expand, {"aten.expand", "aten.expand_as"});
    put(&Importer::slice, {"aten.slice", "aten.narrow"});
    put(&Importer::select, {"aten.select"});
    put(&Importer::index_select, {"aten.index_select"});
    put(&Importer::index, {"aten.index"});
    put(&Importer::flip, {"aten.flip"});
    put(&Importer::split, {"aten.chunk", "aten.split", "aten.split_with_sizes"});
    put(&Importer::unbind, {"aten.unbind"});
    put(&Importer::pad, {"aten.pad", "aten.constant_pad_nd"});
    put(&Importer::upsample,
        {"aten.upsample_nearest1d", "aten.upsample_nearest2d", "aten.upsample_nearest3d"});
    put(&Importer::relu, {"aten.relu"});
    put(&Importer::function,
        {"aten.sigmoid", "aten.hardsigmoid", "aten.tanh", "aten.erf", "aten.silu", "aten.hardswish",
         "aten.mish", "aten.gelu", "aten.softplus", "aten.elu", "aten.selu", "aten.leaky_relu",
         "aten.relu6", "aten.hardtanh", "aten.clamp", "aten.clamp_min", "aten.clamp_max"});
    put(&Importer::prelu, {"aten.prelu", "aten._prelu_kernel"});
    put(&Importer::add_values, {"aten.add", "aten.sub", "aten.rsub", "aten.subtract"});
    put(&Importer::multiply, {"aten.mul", "aten.div", "aten.multiply", "aten.divide"});
    put(&Importer::negate, {"aten.neg"});
    put(&Importer::concatenate, {"aten.cat", "aten.concat", "aten.concatenate"});
    put(&Importer::number_range, {"aten.arange", "aten.linspace"});
    put(&Importer::compare, {"aten.lt", "aten.le", "aten.gt", "aten.ge", "aten.eq", "aten.ne"});
    put(&Importer::choose, {"aten.where"});
    return table;
  }();
  return all;
}

void Importer::refuse(const Call& call, std::string_view why) const {
  refuse_file(program_.path, fmt::format("{}: {}", call.label(), why));
}

Network Importer::run(int output) {
  const auto count = static_cast<int>(program_.outputs.size());
  if (output < 0 || output >= count) {
    throw ConfigError(fmt::format("network.output: there is no output {}; '{}' has {}: {}", output,
                                  program_.path, count, fmt::join(program_.outputs, ", ")));
  }
  const std::string& name = program_.outputs[static_cast<std::size_t>(output)];
  const std::vector<bool> needed = needed_calls(name);
  for (std::size_t i = 0; i < needed.size(); ++i) {
    const Call& call = program_.calls[i];
    try {
      if (needed[i]) import(call);
    } catch (const std::invalid_argument& error) {
      refuse(call, error.what());
    } catch (const ConfigError& error) {
      refuse(call, error.what());
    }
  }
  const auto found = values_.find(name);
  if (found == values_.end() || !std::holds_alternative<Activation>(found->second)) {
    refuse_file(program_.path,
                fmt::format("its output '{}' does not come from the clip", printable(name)));
  }
  return finish(std::get<Activation>(found->second));
}

std::vector<bool> Importer::needed_calls(const std::string& output) const {
  std::set<std::string, std::less<>> wanted{output};
  std::vector<bool> needed(program_.calls.size(), false);
  for (std::size_t i = needed.size(); i-- > 0;) {
    const Call& call = program_.calls[i];
    std::vector<std::string> read;
    for (const auto& [name, argument] : call.arguments) {
      if (const auto* tensor = std::get_if<TensorName>(&argument)) read.push_back(tensor->name);
      if (const auto* list = std::get_if<std::vector<TensorName>>(&argument)) {
        for (const TensorName& tensor : *list) read.push_back(tensor.name);
      }
    }
    const auto is_wanted = [&](const std::string& name) { return wanted.contains(name); };
    // What a call overwrites in place, others may read by another name.
    const bool in_place = call.operation.ends_with('_');
    needed[i] = std::ranges::any_of(call.results, is_wanted) ||
                (in_place && std::ranges::any_of(read, is_wanted));
    if (needed[i]) wanted.insert(read.begin(), read.end());
  }
  return needed;
}

void Importer::import(const Call& call) {
  std::string operation = call.operation;
  const bool in_place = operation.starts_with("aten.") && operation.ends_with('_');
  if (in_place) operation.pop_back();
  const auto handler = handlers().find(operation);
  if (handler == handlers().end()) {
    refuse(call,
           fmt::format("the operation is not supported; docs/networks.md lists those that are"));
  }
  (this->*handler->second)(call);
  if (!in_place) return;
  const auto* self = std::get_if<TensorName>(argument(call, "self"));
  if (self == nullptr || call.results.empty()) return;
  const int memory = memory_[self->name];
  for (const auto& [name, where] : memory_) {
    if (where == memory && where != 0) overwritten_.insert(name);
  }
  const auto result = values_.find(call.results.front());
  if (result == values_.end()) return;
  values_[self->name] = result->second;
  overwritten_.erase(self->name);
  overwritten_.erase(call.results.front());
}

// ---- nodes -------------------------------------------------------------------------------------

NodeId Importer::add(const Call& call, Op op, std::vector<NodeId> inputs, std::string name) {
  if (name.empty()) {
    name = call.name;
    // Layers have the names of their parameters, which nothing else may take.
    while (parameter_names_.contains(name)) name += '_';
    const std::string base = name;
    for (int again = 2; taken_.contains(name); ++again) name = fmt::format("{}_{}", base, again);
  }
  std::vector<TensorShape> shapes;
  for (const NodeId input : inputs) shapes.push_back(shape(input));
  const NodeId id = graph_.add(name, std::move(op), std::move(inputs));
  taken_.insert(std::move(name));
  shapes_.push_back(infer_shape(graph_.node(id), shapes, clip_size_));
  if (shapes_.back().positions() > kMostValues / shapes_.back().channels) {
    refuse(call, "its result is too large");
  }
  return id;
}

NodeId Importer::add_affine(const Call& call, NodeId input, const std::vector<double>& scale,
                            const std::vector<double>& shift) {
  const auto channels = static_cast<std::int64_t>(scale.size());
  const NodeId id =
      add(call, BatchNorm3d{.channels = static_cast<int>(channels), .eps = 0}, {input});
  const auto put = [&](std::string_view suffix, std::vector<float> values) {
    const ConstantTensor made = computed_constant({channels}, std::move(values));
    add_weight(graph_.node(id).name + std::string(suffix), made.shape, made.data);
  };
  put(".weight", {scale.begin(), scale.end()});
  put(".bias", {shift.begin(), shift.end()});
  put(".running_mean", std::vector<float>(scale.size(), 0));
  put(".running_var", std::vector<float>(scale.size(), 1));
  return id;
}

void Importer::add_weight(const std::string& name, Sizes shape, std::shared_ptr<const float> data) {
  weights_[name] = {std::move(shape), std::move(data)};
}

std::string Importer::layer_name(std::string_view parameter) {
  std::string name(parameter.substr(0, parameter.rfind('.')));
  if (name.empty()) name = "layer";
  std::string result = name;
  // A layer that is called twice is two layers of the same weights.
  for (int again = 2; taken_.contains(result); ++again) result = fmt::format("{}#{}", name, again);
  return result;
}

void Importer::give(const Call& call, Value value, const std::string& alias) {
  if (call.results.empty()) refuse(call, "it gives no result");
  const std::string& name = call.results.front();
  const auto shared = memory_.find(alias);
  memory_[name] = shared == memory_.end() ? static_cast<int>(memory_.size()) + 1 : shared->second;
  values_[name] = std::move(value);
}

void Importer::give_node(const Call& call, NodeId node, Layout layout) {
  give(call, Activation{node, std::move(layout), {}});
}

Activation Importer::ordered(const Call& call, Activation a) {
  SelectChannels select{channel_order(a.layout)};
  const bool in_order = std::ranges::is_sorted(select.source);
  a.layout = with_ordered_channels(std::move(a.layout));
  if (!in_order) a.node = add(call, std::move(select), {a.node});
  return a;
}

std::optional<std::size_t> Importer::position_axis_of(const Activation& a, std::size_t axis) const {
  const AxisParts& parts = a.layout[axis];
  for (std::size_t p = 0; p < 3; ++p) {
    const auto size = shape(a.node).size[p];
    if (size != 1 && parts == whole_axis(position_axis(p), size)) return p;
  }
  return std::nullopt;
}

std::vector<std::size_t> Importer::window_axes(const Call& call, Activation& a, std::size_t rank) {
  a = ordered(call, std::move(a));
  if (a.layout.size() != rank + 2 ||
      !is_whole(a.layout[1], AxisKind::kChannel, shape(a.node).channels)) {
    refuse(call, fmt::format("its input of {} does not have its channels second and {} axes behind",
                             fmt::join(sizes(a.layout), "x"), rank));
  }
  std::vector<std::size_t> result(rank);
  std::size_t limit =
      3;  // axes from last to first take W, H, T, one of size 1 the next that is free
  for (std::size_t i = rank; i-- > 0;) {
    if (const auto known = position_axis_of(a, i + 2)) {
      result[i] = *known;
    } else if (a.layout[i + 2].empty()) {
      std::size_t free = limit;
      while (free > 0 && shape(a.node).size[free - 1] != 1) --free;
      result[i] = free == 0 ? limit : free - 1;
    } else {
      result[i] = limit;
    }
    if (result[i] >= limit) {
      refuse(call, fmt::format("its input's axes of {} are not T, H, W in this order",
                               fmt::join(sizes(a.layout), "x")));
    }
    limit = result[i];
  }
  return result;
}

Layout Importer::resized(const Activation& a, const std::vector<std::size_t>& axes,
                         NodeId result) const {
  Layout layout = a.layout;
  layout[1] = whole_axis(AxisKind::kChannel, shape(result).channels);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    layout[i + 2] = whole_axis(position_axis(axes[i]), shape(result).size[axes[i]]);
  }
  return layout;
}

}  // namespace cfp
