#include "results/store/layer_columns.h"

#include <stdexcept>

#include <fmt/format.h>

#include "results/store/steps.h"

namespace cfp::hdf5 {
namespace {

const std::vector<float>& floats(const ChannelRelevance& relevance, RelevanceField field) {
  switch (field) {
    case RelevanceField::kPositive:
      return relevance.positive;
    case RelevanceField::kNegative:
      return relevance.negative;
    default:
      return relevance.score;
  }
}

const std::vector<std::uint8_t>& flags(const ChannelRelevance& relevance, RelevanceField field) {
  return field == RelevanceField::kFound ? relevance.found : relevance.reached;
}

bool is_flag(RelevanceField field) {
  return field == RelevanceField::kFound || field == RelevanceField::kReached;
}

std::size_t size_of_field(const ChannelRelevance& relevance, RelevanceField field) {
  return is_flag(field) ? flags(relevance, field).size() : floats(relevance, field).size();
}

/// Appends one row: the vectors of all targets behind one another.
template <class T, class Get>
void append_joined(Column& column, std::span<const ChannelRelevance* const> targets, Get get) {
  if (targets.size() == 1) return column.append(get(*targets[0]).data());
  std::vector<T> row;
  for (const ChannelRelevance* target : targets) {
    const std::vector<T>& values = get(*target);
    row.insert(row.end(), values.begin(), values.end());
  }
  column.append(row.data());
}

Number index_type(std::size_t count) { return count <= 65536 ? Number::kUInt16 : Number::kUInt32; }

/// What append() takes of numbers that are stored as they are, or as steps.
Number given(StoredAs stored) {
  return stored == StoredAs::kFloat32 ? Number::kFloat32 : Number::kUInt16;
}

Number in_file(StoredAs stored) {
  return stored == StoredAs::kUInt8 ? Number::kUInt8 : given(stored);
}

ColumnSpec score_spec(int steps) {
  ColumnSpec spec{"score", {}, "edges", "unit of the target", "E: share of the kernel's relevance"};
  if (steps > 0) {
    spec.unit = fmt::format("largest / {}", steps);
    spec.meaning += fmt::format("; score / {} * largest of the clip and target", steps);
  }
  return spec;
}

ColumnSpec values_spec(const Tube& tube, hsize_t targets, int steps) {
  ColumnSpec spec{"values",
                  {targets, static_cast<hsize_t>(tube.length), static_cast<hsize_t>(tube.height),
                   static_cast<hsize_t>(tube.width)},
                  "clips, targets, t, h, w",
                  "share of the relevance",
                  "saliency at the tensor that enters the layer, at its own resolution"};
  if (steps > 0) {
    spec.unit = fmt::format("(maximum - minimum) / {}", steps);
    spec.meaning += fmt::format("; minimum + values / {} * (maximum - minimum)", steps);
  }
  return spec;
}

}  // namespace

void require_same(std::size_t have, std::size_t want, const ClipResult& clip,
                  std::string_view what) {
  if (have == want) return;
  throw std::logic_error(fmt::format("clip {} (row {}): {} is {}, the part's first clip has {}",
                                     clip.clip_id, clip.row, what, have, want));
}

RelevanceColumns::RelevanceColumns(const ColumnFile& file, hid_t parent, const std::string& name,
                                   std::string_view axis, const ChannelRelevance& first,
                                   hsize_t targets)
    : name_(name), group_(create_group(parent, name, file.name)) {
  for (const RelevanceField field : kRelevanceFields) {
    const std::size_t channels = size_of_field(first, field);
    sizes_[static_cast<std::size_t>(field)] = channels;
    if (channels == 0) continue;
    if (channels != first.channels()) {
      throw std::logic_error(fmt::format("{}: {} {} has {} entries, its score {}", file.name, name,
                                         name_of(field), channels, first.channels()));
    }
    columns_[static_cast<std::size_t>(field)].emplace(
        file, group_.get(), relevance_spec(field, targets, channels, axis),
        is_flag(field) ? Number::kUInt8 : Number::kFloat32);
  }
}

void RelevanceColumns::name_node(const std::string& node, const std::string& file) {
  write_attribute(group_.get(), "node", node, file);
}

void RelevanceColumns::check_fits(const ChannelRelevance& relevance, const ClipResult& clip,
                                  const std::string& owner) const {
  for (const RelevanceField field : kRelevanceFields) {
    const std::size_t have = size_of_field(relevance, field);
    const std::size_t want = sizes_[static_cast<std::size_t>(field)];
    if (have != want) {  // the text is only made where it is needed: this runs for every clip
      require_same(have, want, clip, fmt::format("size of {} {} {}", owner, name_, name_of(field)));
    }
  }
}

void RelevanceColumns::append(std::span<const ChannelRelevance* const> targets) {
  for (const RelevanceField field : kRelevanceFields) {
    std::optional<Column>& column = columns_[static_cast<std::size_t>(field)];
    if (!column) continue;
    if (is_flag(field)) {
      append_joined<std::uint8_t>(
          *column, targets, [&](const auto& r) -> const auto& { return flags(r, field); });
    } else {
      append_joined<float>(
          *column, targets, [&](const auto& r) -> const auto& { return floats(r, field); });
    }
  }
}

void RelevanceColumns::flush() {
  for (std::optional<Column>& column : columns_) {
    if (column) column->flush();
  }
}

EdgeColumns::EdgeColumns(const ColumnFile& file, hid_t parent, const PyramidLayer& first,
                         hsize_t targets)
    : steps_(step_count(file.options.edge_scores)),
      group_(create_group(parent, "edges", file.name)),
      range_(file, group_.get(),
             {"range",
              {targets, 2},
              "clips, targets, begin and end",
              "edges",
              "edges begin..end-1 of this layer belong to this clip and target"},
             Number::kUInt64),
      kernel_(file, group_.get(),
              {"kernel", {}, "edges", "index", "kernel of the layer that the edge leads to"},
              Number::kUInt32, index_type(first.kernels.channels())),
      channel_(file, group_.get(),
               {"channel", {}, "edges", "index", "channel of the layer's input it comes from"},
               Number::kUInt32, index_type(first.channels.channels())),
      score_(file, group_.get(), score_spec(steps_), given(file.options.edge_scores),
             in_file(file.options.edge_scores)) {
  if (steps_ == 0) return;
  score_.write_steps(steps_);
  largest_.emplace(file, group_.get(),
                   ColumnSpec{"largest",
                              {targets},
                              "clips, targets",
                              "unit of the target",
                              "largest score of the layer's edges of this clip and target"},
                   Number::kFloat32);
}

void EdgeColumns::append(std::span<const std::vector<Edge>* const> targets) {
  std::vector<std::uint64_t> range;
  std::vector<float> largest;
  for (const std::vector<Edge>* edges : targets) {
    kernels_.clear();
    channels_.clear();
    for (const Edge& edge : *edges) {
      kernels_.push_back(edge.kernel);
      channels_.push_back(edge.channel);
    }
    range.push_back(kernel_.rows());
    kernel_.append(kernels_.data(), kernels_.size());
    channel_.append(channels_.data(), channels_.size());
    append_scores(*edges);
    largest.push_back(largest_score(*edges));
    range.push_back(kernel_.rows());
  }
  range_.append(range.data());
  if (largest_) largest_->append(largest.data());
}

void EdgeColumns::append_scores(std::span<const Edge> edges) {
  if (steps_ == 0) {
    scores_.clear();
    for (const Edge& edge : edges) scores_.push_back(edge.score);
    return score_.append(scores_.data(), scores_.size());
  }
  const Steps steps(0, largest_score(edges), steps_);
  stored_scores_.clear();
  for (const Edge& edge : edges) stored_scores_.push_back(to_stored_score(steps, edge.score));
  score_.append(stored_scores_.data(), stored_scores_.size());
}

void EdgeColumns::flush() {
  for (Column* column : {&range_, &kernel_, &channel_, &score_}) column->flush();
  if (largest_) largest_->flush();
}

TubeColumns::TubeColumns(const ColumnFile& file, hid_t parent, const std::string& name,
                         const Tube& first, hsize_t targets)
    : length_(first.length),
      height_(first.height),
      width_(first.width),
      steps_(step_count(file.options.tube_values)),
      group_(create_group(parent, name, file.name)),
      values_(file, group_.get(), values_spec(first, targets, steps_),
              given(file.options.tube_values), in_file(file.options.tube_values)),
      minimum_(file, group_.get(),
               {"minimum",
                {targets},
                "clips, targets",
                "share of the relevance",
                "smallest value of the tube"},
               Number::kFloat32),
      maximum_(file, group_.get(),
               {"maximum",
                {targets},
                "clips, targets",
                "share of the relevance",
                "largest value of the tube; equal to minimum: it is constant"},
               Number::kFloat32) {
  if (steps_ > 0) values_.write_steps(steps_);
}

bool TubeColumns::fits(const Tube& tube) const {
  return tube.length == length_ && tube.height == height_ && tube.width == width_ &&
         tube.values.size() == static_cast<std::size_t>(length_ * height_ * width_);
}

void TubeColumns::append(std::span<const Tube* const> targets) {
  std::vector<float> values, minima, maxima;
  std::vector<std::uint16_t> stored;
  for (const Tube* tube : targets) {
    minima.push_back(tube->minimum);
    maxima.push_back(tube->maximum);
    if (steps_ == 0) {
      values.insert(values.end(), tube->values.begin(), tube->values.end());
      continue;
    }
    const Steps steps(tube->minimum, tube->maximum, steps_);
    for (const float value : tube->values) stored.push_back(steps.to_stored(value));
  }
  if (steps_ == 0) {
    values_.append(values.data());
  } else {
    values_.append(stored.data());
  }
  minimum_.append(minima.data());
  maximum_.append(maxima.data());
}

void TubeColumns::flush() {
  for (Column* column : {&values_, &minimum_, &maximum_}) column->flush();
}

}  // namespace cfp::hdf5
