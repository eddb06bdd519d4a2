// describe() of random_graphs.h.
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/support/random_graphs.h"

namespace cfp::test {
namespace {

std::string text(const Triple& t) { return fmt::format("{}x{}x{}", t[0], t[1], t[2]); }

std::string text(const Padding& padding) {
  return padding.symmetric() ? text(padding.before)
                             : fmt::format("{}..{}", text(padding.before), text(padding.after));
}

std::string details(const Op& op) {
  if (const auto* conv = std::get_if<Conv3d>(&op)) {
    return fmt::format(" {}->{} kernel {} stride {} padding {} dilation {} groups {}{}{}{}",
                       conv->in_channels, conv->out_channels, text(conv->kernel),
                       text(conv->stride), text(conv->padding), text(conv->dilation), conv->groups,
                       conv->bias ? " bias" : "", conv->addition.empty() ? "" : " +",
                       conv->relu ? " relu" : "");
  }
  if (const auto* pool = std::get_if<MaxPool3d>(&op)) {
    return fmt::format(" kernel {} stride {} padding {}{}{}", text(pool->kernel),
                       text(pool->stride), text(pool->padding), pool->ceil_mode ? " ceil" : "",
                       pool->zero_padding ? " zeros" : "");
  }
  if (const auto* pool = std::get_if<AvgPool3d>(&op)) {
    return fmt::format(" kernel {} stride {} padding {}{}{}", text(pool->kernel),
                       text(pool->stride), text(pool->padding), pool->ceil_mode ? " ceil" : "",
                       pool->count_padding ? "" : " uncounted");
  }
  if (const auto* bn = std::get_if<BatchNorm3d>(&op)) {
    return fmt::format(" eps {}{}", bn->eps, bn->relu ? " relu" : "");
  }
  if (const auto* average = std::get_if<AdaptiveAverage>(&op)) {
    return fmt::format(" size {}", text(average->size));
  }
  if (const auto* select = std::get_if<SelectChannels>(&op)) {
    return fmt::format(" of {}", fmt::join(select->source, ","));
  }
  if (const auto* select = std::get_if<SelectPositions>(&op)) {
    return fmt::format(" along {} of {}", "THW"[select->axis], fmt::join(select->source, ","));
  }
  if (const auto* pad = std::get_if<Pad>(&op)) return " " + text(pad->padding);
  if (const auto* spread = std::get_if<Spread>(&op)) return " " + text(spread->step);
  if (const auto* function = std::get_if<Pointwise>(&op)) {
    return fmt::format(" {} {} {} {}", function_name(function->function), function->first,
                       function->second, function->third);
  }
  if (const auto* linear = std::get_if<Linear>(&op)) return linear->bias ? " bias" : "";
  return {};
}

}  // namespace

std::string describe(const NetworkGraph& graph) {
  std::string out;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    fmt::format_to(std::back_inserter(out), "{} = {}{} (", node.name, op_name(node.op),
                   details(node.op));
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      fmt::format_to(std::back_inserter(out), "{}{}", i == 0 ? "" : ", ",
                     graph.node(node.inputs[i]).name);
    }
    fmt::format_to(std::back_inserter(out), "): {} channels\n", graph.channels(id));
  }
  return out;
}

}  // namespace cfp::test
