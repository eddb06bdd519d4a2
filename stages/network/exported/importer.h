// From ATen calls to a graph, one call after the other; used by load_exported.cpp alone.
//
// A value of the exported graph is an activation (a node and the layout of its axes) or a constant.
// Views and permutations change layouts (import_views.cpp), selections and padding make nodes
// (import_moves.cpp); layers and pools want their axes in order (import_layers.cpp); sums, products
// and functions want those of their operands alike (import_products.cpp).
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "stages/network/exported/constants.h"
#include "stages/network/exported/layout.h"
#include "stages/network/exported/program.h"
#include "stages/network/network.h"

namespace cfp {

/// Some axes of a node as an exported tensor.
struct Activation {
  NodeId node = 0;
  Layout layout;
  std::string softmax;  ///< the call that made probabilities of logits, which is left out; or empty
};

/// Four numbers for each axis of a window.
struct WindowNumbers {
  std::vector<std::int64_t> kernel, stride, padding, dilation;
};

class Importer {
 public:
  explicit Importer(const ExportedProgram& program);

  /// @param output which of the program's outputs gives the logits
  /// @throws SystemError a call that is not known, or cannot be led through; names node and
  /// operation
  Network run(int output);

  /// What was left out of the graph, as sentences.
  const std::vector<std::string>& notes() const { return notes_; }
  /// T, H, W of the clip that the program was exported for.
  const Triple& clip_size() const { return clip_size_; }

 private:
  using Value = std::variant<Activation, ConstantTensor>;
  using Sizes = std::vector<std::int64_t>;
  using Handler = void (Importer::*)(const Call&);
  static const std::map<std::string_view, Handler>& handlers();

  [[noreturn]] void refuse(const Call& call, std::string_view why) const;
  void import(const Call& call);
  /// By call: whether the output depends on it.
  std::vector<bool> needed_calls(const std::string& output) const;
  Network finish(const Activation& logits);

  // ---- arguments (import_arguments.cpp) ----
  const Argument* argument(const Call& call, std::string_view name) const;
  bool has(const Call& call, std::string_view name) const;
  std::int64_t integer(const Call& call, std::string_view name, std::int64_t otherwise) const;
  double number(const Call& call, std::string_view name, double otherwise) const;
  bool boolean(const Call& call, std::string_view name, bool otherwise) const;
  std::string word(const Call& call, std::string_view name, std::string_view otherwise) const;
  Sizes integers(const Call& call, std::string_view name, const Sizes& otherwise) const;
  Sizes triple(const Call& call, std::string_view name, std::size_t rank,
               const Sizes& otherwise) const;
  /// The argument as a tensor; a number is one of no axes.
  Value operand(const Call& call, std::string_view name) const;
  const Value& value(const Call& call, const std::string& name) const;
  Activation activation(const Call& call, std::string_view name) const;
  const ConstantTensor* constant(const Call& call, std::string_view name) const;
  std::size_t axis(const Call& call, std::int64_t axis, std::size_t rank) const;
  std::vector<std::size_t> axes(const Call& call, std::string_view name, std::size_t rank) const;

  // ---- nodes (importer.cpp) ----
  NodeId add(const Call& call, Op op, std::vector<NodeId> inputs, std::string name = {});
  NodeId add_affine(const Call& call, NodeId input, const std::vector<double>& scale,
                    const std::vector<double>& shift);
  void add_weight(const std::string& name, Sizes shape, std::shared_ptr<const float> data);
  std::string layer_name(std::string_view parameter);
  const TensorShape& shape(NodeId id) const { return shapes_[static_cast<std::size_t>(id)]; }
  /// Gives the call's result; `alias`: it shares its memory with an argument of that name.
  void give(const Call& call, Value value, const std::string& alias = {});
  void give_node(const Call& call, NodeId node, Layout layout);
  /// The same values, channels in the order in which the layout counts them.
  Activation ordered(const Call& call, Activation a);
  /// Which of T, H, W each of the last `rank` axes of a tensor [batch, channels, …] is; the
  /// channels are put in order.
  std::vector<std::size_t> window_axes(const Call& call, Activation& a, std::size_t rank);
  std::optional<std::size_t> position_axis_of(const Activation& a, std::size_t axis) const;
  /// The layout with the axes of a window as long as the node's result says.
  Layout resized(const Activation& a, const std::vector<std::size_t>& axes, NodeId result) const;

  // ---- import_layers.cpp ----
  void convolution(const Call& call);
  void batch_norm(const Call& call);
  void linear(const Call& call);
  void matrix_product(const Call& call);
  void batched_product(const Call& call);
  void dense(const Call& call, const Activation& x, const ConstantTensor& weight,
             const ConstantTensor* bias);
  void max_pool(const Call& call);
  void average_pool(const Call& call);
  void adaptive_pool(const Call& call);
  void mean(const Call& call);
  void maximum(const Call& call);
  void average_to(const Call& call, const Activation& a, const Triple& size, Layout layout);
  NodeId transposed_input(const Call& call, NodeId x, const WindowNumbers& numbers,
                          const std::vector<std::size_t>& axes, const Sizes& output_padding,
                          Conv3d& conv);

  // ---- import_views.cpp ----
  std::string alias(const Call& call) const;
  void same(const Call& call);
  void nothing(const Call& call);
  void softmax(const Call& call);
  void view(const Call& call);
  void flatten(const Call& call);
  void unflatten(const Call& call);
  void permute(const Call& call);
  void move_axes(const Call& call);
  void transpose(const Call& call);
  void squeeze(const Call& call);
  void unsqueeze(const Call& call);
  void expand(const Call& call);

  // ---- import_moves.cpp ----
  void slice(const Call& call);
  void select(const Call& call);
  void index_select(const Call& call);
  void index(const Call& call);
  void flip(const Call& call);
  void split(const Call& call);
  void unbind(const Call& call);
  void pad(const Call& call);
  void upsample(const Call& call);
  Value reshaped(const Call& call, const Value& x, Sizes sizes) const;
  Value permuted(const Call& call, const Value& x, const std::vector<std::size_t>& order) const;
  Value taken(const Call& call, const Value& x, std::size_t axis, const Sizes& positions);
  Activation expanded_to(const Call& call, Activation a, const Sizes& sizes);

  // ---- import_products.cpp ----
  void relu(const Call& call);
  void function(const Call& call);
  void prelu(const Call& call);
  void add_values(const Call& call);
  void multiply(const Call& call);
  void negate(const Call& call);
  void concatenate(const Call& call);
  void number_range(const Call& call);
  void compare(const Call& call);
  void choose(const Call& call);
  Pointwise function_of(const Call& call) const;
  void affine(const Call& call, Activation a, const ConstantTensor& constant, bool factor,
              bool inverse, double sign);
  bool is_bounded_value(NodeId id) const;
  void product(const Call& call, Activation first, Activation second);
  void sum(const Call& call, Activation first, Activation second);

  const ExportedProgram& program_;
  std::map<std::string, Value, std::less<>> values_;
  std::map<std::string, int, std::less<>> memory_;  ///< by value: which share memory
  std::set<std::string, std::less<>> overwritten_;  ///< values that a call in place made stale
  std::set<std::string, std::less<>> parameter_names_;
  NetworkGraph graph_;
  std::vector<TensorShape> shapes_;  ///< by node
  Weights weights_;
  Triple clip_size_{};
  std::vector<std::string> notes_;
  std::set<std::string, std::less<>> taken_;  ///< names of nodes
};

}  // namespace cfp
