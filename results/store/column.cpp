#include "results/store/column.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp::hdf5 {
namespace {

constexpr std::uint64_t kMaxChunkRows = 64;        ///< of rows with a shape
constexpr std::uint64_t kMaxChunkElements = 8192;  ///< of rows that are one element
constexpr std::uint64_t kTextChunkRows = 64;

hid_t stored_type(Number number) {
  switch (number) {
    case Number::kUInt8:
      return H5T_STD_U8LE;
    case Number::kUInt16:
      return H5T_STD_U16LE;
    case Number::kUInt32:
      return H5T_STD_U32LE;
    case Number::kUInt64:
      return H5T_STD_U64LE;
    case Number::kInt32:
      return H5T_STD_I32LE;
    case Number::kInt64:
      return H5T_STD_I64LE;
    case Number::kFloat32:
      return H5T_IEEE_F32LE;
    case Number::kFloat64:
      return H5T_IEEE_F64LE;
  }
  throw std::logic_error("Number out of range");
}

/// Flags and indexes become ten times smaller. Of floats only the exponents pack, which the lowest
/// level does as well as the others (docs/results.md has the figures).
unsigned deflate_level(const StoreOptions& options, Number number) {
  if (options.deflate) return static_cast<unsigned>(*options.deflate);
  return number == Number::kFloat32 || number == Number::kFloat64 ? 1 : 4;
}

std::size_t product(const std::vector<hsize_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

std::vector<hsize_t> with_rows(std::uint64_t rows, const std::vector<hsize_t>& row_shape) {
  std::vector<hsize_t> shape{rows};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  return shape;
}

/// Creates an empty dataset of the spec's shape that can grow along its first axis.
Dataset create_dataset(const std::string& item, hid_t parent, const ColumnSpec& spec, hid_t type,
                       std::uint64_t chunk_rows, unsigned deflate) {
  const std::vector<hsize_t> shape = with_rows(0, spec.row_shape);
  const std::vector<hsize_t> limit = with_rows(H5S_UNLIMITED, spec.row_shape);
  const std::vector<hsize_t> chunk = with_rows(chunk_rows, spec.row_shape);
  const int rank = static_cast<int>(shape.size());
  constexpr const char* kWhat = "cannot create the dataset";
  const Space space(check(H5Screate_simple(rank, shape.data(), limit.data()), item, kWhat));

  const PropertyList creation(check(H5Pcreate(H5P_DATASET_CREATE), item, kWhat));
  check(H5Pset_chunk(creation.get(), rank, chunk.data()), item, kWhat);
  check(H5Pset_obj_track_times(creation.get(), false), item, kWhat);
  if (deflate > 0) {
    check(H5Pset_shuffle(creation.get()), item, kWhat);
    check(H5Pset_deflate(creation.get(), deflate), item, kWhat);
  }
  // Whole chunks are handed over, so a chunk cache would only keep them in memory.
  const PropertyList access(check(H5Pcreate(H5P_DATASET_ACCESS), item, kWhat));
  check(H5Pset_chunk_cache(access.get(), 0, 0, 0), item, kWhat);

  Dataset dataset(check(H5Dcreate2(parent, spec.name.c_str(), type, space.get(), H5P_DEFAULT,
                                   creation.get(), access.get()),
                        item, kWhat));
  write_attribute(dataset.get(), "axes", spec.axes, item);
  write_attribute(dataset.get(), "unit", spec.unit, item);
  write_attribute(dataset.get(), "meaning", spec.meaning, item);
  return dataset;
}

/// Makes a dataset longer and writes its new rows.
void write_rows(const std::string& item, hid_t dataset, const std::vector<hsize_t>& row_shape,
                std::uint64_t begin, std::uint64_t count, hid_t memory_type, const void* data) {
  const std::vector<hsize_t> shape = with_rows(begin + count, row_shape);
  const std::vector<hsize_t> block = with_rows(count, row_shape);
  std::vector<hsize_t> start(shape.size(), 0);
  start[0] = begin;
  const int rank = static_cast<int>(shape.size());
  constexpr const char* kWhat = "cannot write";
  check(H5Dset_extent(dataset, shape.data()), item, kWhat);
  const Space file_space(check(H5Dget_space(dataset), item, kWhat));
  check(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, block.data(),
                            nullptr),
        item, kWhat);
  const Space memory_space(check(H5Screate_simple(rank, block.data(), nullptr), item, kWhat));
  check(H5Dwrite(dataset, memory_type, memory_space.get(), file_space.get(), H5P_DEFAULT, data),
        item, kWhat);
}

}  // namespace

std::size_t size_of(Number number) {
  switch (number) {
    case Number::kUInt8:
      return 1;
    case Number::kUInt16:
      return 2;
    case Number::kUInt32:
    case Number::kInt32:
    case Number::kFloat32:
      return 4;
    case Number::kUInt64:
    case Number::kInt64:
    case Number::kFloat64:
      return 8;
  }
  throw std::logic_error("Number out of range");
}

hid_t native_type(Number number) {
  switch (number) {
    case Number::kUInt8:
      return H5T_NATIVE_UINT8;
    case Number::kUInt16:
      return H5T_NATIVE_UINT16;
    case Number::kUInt32:
      return H5T_NATIVE_UINT32;
    case Number::kUInt64:
      return H5T_NATIVE_UINT64;
    case Number::kInt32:
      return H5T_NATIVE_INT32;
    case Number::kInt64:
      return H5T_NATIVE_INT64;
    case Number::kFloat32:
      return H5T_NATIVE_FLOAT;
    case Number::kFloat64:
      return H5T_NATIVE_DOUBLE;
  }
  throw std::logic_error("Number out of range");
}

Column::Column(const ColumnFile& file, hid_t parent, const ColumnSpec& spec, Number number,
               Number stored)
    : item_(fmt::format("{}: {}", file.name, spec.name)),
      number_(number),
      row_shape_(spec.row_shape),
      row_elements_(product(spec.row_shape)) {
  const std::size_t row_bytes = row_elements_ * size_of(number);
  // A power of two: the usual part of 64 clips then fills its last chunk, too.
  chunk_rows_ = std::bit_floor(
      std::clamp<std::uint64_t>(file.options.chunk_bytes / std::max<std::size_t>(row_bytes, 1), 1,
                                row_shape_.empty() ? kMaxChunkElements : kMaxChunkRows));
  dataset_ = create_dataset(item_, parent, spec, stored_type(stored), chunk_rows_,
                            deflate_level(file.options, stored));
}

void Column::write_steps(int count) {
  write_attribute(dataset_.get(), kStepsAttribute, count, item_);
}

void Column::append(const void* rows, std::uint64_t count) {
  const std::size_t row_bytes = row_elements_ * size_of(number_);
  if (buffer_.empty()) buffer_.resize(chunk_rows_ * row_bytes);
  const auto* source = static_cast<const std::byte*>(rows);
  while (count > 0) {
    const std::uint64_t taken = std::min(count, chunk_rows_ - buffered_);
    std::memcpy(buffer_.data() + buffered_ * row_bytes, source, taken * row_bytes);
    source += taken * row_bytes;
    buffered_ += taken;
    count -= taken;
    if (buffered_ == chunk_rows_) flush();
  }
}

void Column::flush() {
  if (buffered_ == 0) return;
  write_rows(item_, dataset_.get(), row_shape_, written_, buffered_, native_type(number_),
             buffer_.data());
  written_ += buffered_;
  buffered_ = 0;
}

TextColumn::TextColumn(const ColumnFile& file, hid_t parent, const ColumnSpec& spec)
    : item_(fmt::format("{}: {}", file.name, spec.name)),
      row_shape_(spec.row_shape),
      row_elements_(product(spec.row_shape)) {
  const Type type = string_type();
  dataset_ = create_dataset(item_, parent, spec, type.get(), kTextChunkRows, 0);
}

void TextColumn::append(const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    throw SystemError(fmt::format("{}: a zero byte inside the text `{}`", item_, text.c_str()));
  }
  buffer_.push_back(text);
  if (buffer_.size() == kTextChunkRows * row_elements_) flush();
}

void TextColumn::flush() {
  if (buffer_.empty()) return;
  std::vector<const char*> pointers;
  pointers.reserve(buffer_.size());
  for (const std::string& text : buffer_) pointers.push_back(text.c_str());
  const Type type = string_type();
  const std::uint64_t rows = buffer_.size() / row_elements_;
  write_rows(item_, dataset_.get(), row_shape_, written_, rows, type.get(), pointers.data());
  written_ += rows;
  buffer_.clear();
}

}  // namespace cfp::hdf5
