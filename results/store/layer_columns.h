// The datasets of one layer of the pyramid: relevance, edges, tubes. Private to this room.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "results/store/column.h"
#include "results/store/layout.h"
#include "stages/core/pyramid.h"

namespace cfp::hdf5 {

/// @throws std::logic_error something of a clip differs from the first clip's; `what` names it
void require_same(std::size_t have, std::size_t want, const ClipResult& clip,
                  std::string_view what);

/// The datasets of one ChannelRelevance. What the method leaves empty has no dataset.
class RelevanceColumns {
 public:
  /// @param axis   what a row counts: `kernels` or `channels`
  /// @param first  fixes the sizes
  /// @throws SystemError the disk is full or fails
  /// @throws std::logic_error the vectors of `first` have different sizes
  RelevanceColumns(const ColumnFile& file, hid_t parent, const std::string& name,
                   std::string_view axis, const ChannelRelevance& first, hsize_t targets);

  /// Says which node made this addend.
  void name_node(const std::string& node, const std::string& file);

  /// @throws std::logic_error a vector has another size than the first clip's
  void check_fits(const ChannelRelevance& relevance, const ClipResult& clip,
                  const std::string& owner) const;

  /// @param targets  of one clip, in order
  void append(std::span<const ChannelRelevance* const> targets);
  void flush();

 private:
  std::string name_;
  Group group_;
  std::array<std::size_t, 5> sizes_{};
  std::array<std::optional<Column>, 5> columns_;
};

/// The edges of one layer: those of all clips behind one another, and where each clip's lie.
class EdgeColumns {
 public:
  EdgeColumns(const ColumnFile& file, hid_t parent, const PyramidLayer& first, hsize_t targets);

  /// @param targets  of one clip, in order
  void append(std::span<const std::vector<Edge>* const> targets);
  void flush();

 private:
  /// Scores of one clip and target as the file holds them.
  void append_scores(std::span<const Edge> edges);

  int steps_;  ///< of a range of scores; 0: scores are stored as they are
  Group group_;
  Column range_, kernel_, channel_, score_;
  std::optional<Column> largest_;  ///< where a range ends
  std::vector<std::uint32_t> kernels_, channels_;
  std::vector<float> scores_;
  std::vector<std::uint16_t> stored_scores_;
};

/// The tubes of one layer at its own resolution.
class TubeColumns {
 public:
  /// @param first  fixes the size
  TubeColumns(const ColumnFile& file, hid_t parent, const std::string& name, const Tube& first,
              hsize_t targets);

  bool fits(const Tube& tube) const;
  /// @param targets  of one clip, in order
  void append(std::span<const Tube* const> targets);
  void flush();

 private:
  std::int64_t length_, height_, width_;
  int steps_;  ///< of a range of values; 0: values are stored as they are
  Group group_;
  Column values_, minimum_, maximum_;
};

}  // namespace cfp::hdf5
