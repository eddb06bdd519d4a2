// Datasets that grow row by row, and their reading back. Private to this room.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "results/store/hdf5.h"
#include "results/store/part_header.h"
#include "results/store/text_heaps.h"

namespace cfp::hdf5 {

/// Of one number as stored, little-endian.
enum class Number { kUInt8, kUInt16, kUInt32, kUInt64, kInt32, kInt64, kFloat32, kFloat64 };

std::size_t size_of(Number number);
/// @return the type in this machine's memory
hid_t native_type(Number number);

/// The file that a dataset is in, and how the file holds numbers.
struct ColumnFile {
  /// Not explicit: most need the name alone.
  ColumnFile(std::string path, StoreOptions how = {}) : name(std::move(path)), options(how) {}

  std::string name;  ///< for messages
  StoreOptions options;
};

/// What a dataset is called, what it holds and what it means.
struct ColumnSpec {
  std::string name;
  std::vector<hsize_t> row_shape;  ///< of one row; empty: one element a row
  std::string axes;                ///< names of all axes: `clips, targets, kernels`
  std::string unit;                ///< `s`, `1`, …
  std::string meaning;             ///< one sentence
};

/// Attribute of numbers that are steps of a range.
inline constexpr const char* kStepsAttribute = "steps";

/// Numbers, appended a row at a time, written a chunk at a time; holds at most one chunk.
class Column {
 public:
  /// @param number  what append() takes
  /// @param stored  what the file holds, where that is narrower; every value must fit
  /// @throws SystemError the disk is full or fails
  Column(const ColumnFile& file, hid_t parent, const ColumnSpec& spec, Number number,
         Number stored);
  Column(const ColumnFile& file, hid_t parent, const ColumnSpec& spec, Number number)
      : Column(file, parent, spec, number, number) {}

  /// @param rows  `count` rows, contiguous, in this machine's form of the column's type
  /// @throws SystemError the disk is full or fails
  void append(const void* rows, std::uint64_t count = 1);
  /// Writes what is buffered.
  void flush();

  std::uint64_t rows() const { return written_ + buffered_; }
  std::size_t row_elements() const { return row_elements_; }

  /// Says how stored numbers are to be read; see Steps.
  /// @throws SystemError the disk is full or fails
  void write_steps(int count);

 private:
  std::string item_;
  Number number_;
  std::vector<hsize_t> row_shape_;
  std::size_t row_elements_ = 1;
  std::uint64_t chunk_rows_ = 1;
  std::uint64_t written_ = 0, buffered_ = 0;
  std::vector<std::byte> buffer_;
  Dataset dataset_;
};

/// Texts of any length, appended a row at a time.
class TextColumn {
 public:
  TextColumn(const ColumnFile& file, hid_t parent, const ColumnSpec& spec);
  /// Adds one element; a row of shape [K] takes K of them.
  /// @throws SystemError the disk is full or fails, or `text` holds a zero byte
  void append(const std::string& text);
  void flush();

 private:
  std::string item_;
  std::vector<hsize_t> row_shape_;
  std::size_t row_elements_ = 1;
  std::uint64_t written_ = 0;
  std::vector<std::string> buffer_;
  Dataset dataset_;
};

/// Keeps a hostile file from doing harm to its reader.
class ReadGuard {
 public:
  /// @param bytes  of memory that the reader may come to need
  /// @throws SystemError as TextHeaps
  ReadGuard(const std::string& file, std::uint64_t bytes) : texts_(file), left_bytes_(bytes) {}

  /// @throws SystemError more than is left
  void take(std::uint64_t bytes, std::string_view item);
  const TextHeaps& texts() const { return texts_; }

 private:
  TextHeaps texts_;
  std::uint64_t left_bytes_;
};

/// A column opened for reading, its type and shape checked.
class ColumnReader {
 public:
  /// @param rank  axes of a row, without the first axis of the dataset
  /// @param guard  outlives the reader
  /// @throws SystemError it is not there, or of another type, rank, layout or filter than written
  ColumnReader(const std::string& file, hid_t parent, const std::string& name, std::size_t rank,
               ReadGuard& guard);

  std::uint64_t rows() const { return rows_; }
  const std::vector<hsize_t>& row_shape() const { return row_shape_; }
  std::size_t row_elements() const { return row_elements_; }
  const std::string& item() const { return item_; }

  /// Reads rows begin..begin+count-1 as numbers of type T, converted where the file's differ.
  /// @throws SystemError beyond the end, or the file is damaged
  template <class T>
  std::vector<T> read(std::uint64_t begin, std::uint64_t count = 1) const;

  /// @return how many steps of a range its numbers count, see Steps; 0: they are no steps
  /// @throws SystemError it says something else than a writer does
  int steps() const;

  /// @return the texts of row `index`
  /// @throws SystemError beyond the end, or the column does not hold texts
  std::vector<std::string> read_texts(std::uint64_t index) const;

 private:
  void check_rows(std::uint64_t begin, std::uint64_t count) const;
  void check_texts(std::uint64_t index) const;
  void read_into(void* out, hid_t memory_type, std::uint64_t begin, std::uint64_t count) const;

  std::string item_;
  std::uint64_t rows_ = 0;
  std::vector<hsize_t> row_shape_;
  std::size_t row_elements_ = 1;
  std::uint64_t chunk_rows_ = 0;
  H5T_class_t class_ = H5T_NO_CLASS;
  const TextHeaps* texts_;
  Dataset dataset_;
};

}  // namespace cfp::hdf5
