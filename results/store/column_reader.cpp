#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "results/store/column.h"
#include "results/store/steps.h"
#include "stages/core/errors.h"

namespace cfp::hdf5 {
namespace {

/// A dataset of a part has shuffle and deflate or no filter; others would run foreign code.
void check_filters(hid_t creation, H5T_class_t type, const std::string& item) {
  const int filters = check(H5Pget_nfilters(creation), item, "cannot read its filters");
  if (type == H5T_STRING && filters > 0) {
    throw SystemError(fmt::format("{}: {} filters; a part's texts have none", item, filters));
  }
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t parameters = 0;
    const H5Z_filter_t filter = H5Pget_filter2(creation, static_cast<unsigned>(i), &flags,
                                               &parameters, nullptr, 0, nullptr, &config);
    if (filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_DEFLATE) {
      throw SystemError(fmt::format("{}: filter {}; a part has shuffle and deflate only", item,
                                    static_cast<int>(filter)));
    }
  }
}

/// @return the rows of a chunk
std::uint64_t checked_chunk_rows(hid_t creation, std::size_t rank,
                                 const std::vector<hsize_t>& row_shape, const std::string& item) {
  if (H5Pget_layout(creation) != H5D_CHUNKED) {
    throw SystemError(fmt::format("{}: not stored in chunks, as a part's datasets are", item));
  }
  std::vector<hsize_t> chunk(rank);
  check(H5Pget_chunk(creation, static_cast<int>(rank), chunk.data()), item,
        "cannot read its chunks");
  if (!std::equal(row_shape.begin(), row_shape.end(), chunk.begin() + 1)) {
    throw SystemError(fmt::format("{}: a chunk does not hold whole rows", item));
  }
  if (chunk[0] > std::numeric_limits<std::uint32_t>::max()) {
    throw SystemError(fmt::format("{}: a chunk of {} rows", item, chunk[0]));
  }
  return chunk[0];
}

}  // namespace

void ReadGuard::take(std::uint64_t bytes, std::string_view item) {
  if (bytes > left_bytes_) {
    throw SystemError(fmt::format("{}: asks for {} bytes more, {} are left of what a part may need",
                                  item, bytes, left_bytes_));
  }
  left_bytes_ -= bytes;
}

ColumnReader::ColumnReader(const std::string& file, hid_t parent, const std::string& name,
                           std::size_t rank, ReadGuard& guard)
    : item_(fmt::format("{}: {}", file, name)), texts_(&guard.texts()) {
  if (!contains(parent, name, item_)) throw SystemError(item_ + ": there is no such dataset");
  constexpr const char* kWhat = "cannot open the dataset";
  Dataset probe(check(H5Dopen2(parent, name.c_str(), H5P_DEFAULT), item_, kWhat));
  const Space space(check(H5Dget_space(probe.get()), item_, kWhat));
  const int axes = check(H5Sget_simple_extent_ndims(space.get()), item_, kWhat);
  if (static_cast<std::size_t>(axes) != rank + 1) {
    throw SystemError(fmt::format("{}: has {} axes, not {}", item_, axes, rank + 1));
  }
  std::vector<hsize_t> shape(rank + 1);
  check(H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr), item_, kWhat);
  rows_ = shape[0];
  row_shape_.assign(shape.begin() + 1, shape.end());

  const Type type(check(H5Dget_type(probe.get()), item_, kWhat));
  class_ = H5Tget_class(type.get());
  const std::size_t element_bytes = H5Tget_size(type.get());
  if ((class_ == H5T_STRING && check(H5Tis_variable_str(type.get()), item_, kWhat) == 0) ||
      (class_ != H5T_STRING && class_ != H5T_INTEGER && class_ != H5T_FLOAT) ||
      element_bytes > 16) {
    throw SystemError(item_ + ": neither numbers nor texts of variable length");
  }
  std::uint64_t bytes = std::max<std::uint64_t>(element_bytes, 8);
  for (const hsize_t size : row_shape_) {
    if (size > (std::uint64_t{1} << 40) / bytes) {
      throw SystemError(fmt::format("{}: rows of {} elements along an axis", item_, size));
    }
    bytes *= std::max<hsize_t>(size, 1);
    row_elements_ *= size;
  }
  const PropertyList creation(check(H5Dget_create_plist(probe.get()), item_, kWhat));
  check_filters(creation.get(), class_, item_);
  chunk_rows_ = checked_chunk_rows(creation.get(), rank + 1, row_shape_, item_);
  const std::uint64_t chunk_bytes = chunk_rows_ * bytes;
  guard.take(chunk_bytes, item_);
  // Deflate packs at most 1032 to 1. More rows than that exist only as a promise of the header.
  constexpr double kMaxPacking = 1100;
  const double stored_bytes = static_cast<double>(H5Dget_storage_size(probe.get()) + chunk_bytes);
  const double promised_bytes =
      static_cast<double>(rows_) * static_cast<double>(row_elements_ * element_bytes);
  if (promised_bytes > kMaxPacking * stored_bytes) {
    throw SystemError(fmt::format("{}: {} rows, more than its bytes can hold", item_, rows_));
  }

  // One chunk stays in memory, so that rows read in order unpack each chunk once.
  probe.reset();
  const PropertyList access(check(H5Pcreate(H5P_DATASET_ACCESS), item_, kWhat));
  check(H5Pset_chunk_cache(access.get(), 1, chunk_bytes, 0), item_, kWhat);
  dataset_ = Dataset(check(H5Dopen2(parent, name.c_str(), access.get()), item_, kWhat));
}

void ColumnReader::check_rows(std::uint64_t begin, std::uint64_t count) const {
  if (begin > rows_ || count > rows_ - begin) {
    throw SystemError(
        fmt::format("{}: {} rows from row {} wanted, it has {}", item_, count, begin, rows_));
  }
}

void ColumnReader::read_into(void* out, hid_t memory_type, std::uint64_t begin,
                             std::uint64_t count) const {
  std::vector<hsize_t> start(row_shape_.size() + 1, 0), block{count};
  start[0] = begin;
  block.insert(block.end(), row_shape_.begin(), row_shape_.end());
  constexpr const char* kWhat = "cannot read";
  const Space file_space(check(H5Dget_space(dataset_.get()), item_, kWhat));
  check(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, block.data(),
                            nullptr),
        item_, kWhat);
  const Space memory_space(
      check(H5Screate_simple(static_cast<int>(block.size()), block.data(), nullptr), item_, kWhat));
  check(
      H5Dread(dataset_.get(), memory_type, memory_space.get(), file_space.get(), H5P_DEFAULT, out),
      item_, kWhat);
}

template <class T>
std::vector<T> ColumnReader::read(std::uint64_t begin, std::uint64_t count) const {
  if (class_ != H5T_INTEGER && class_ != H5T_FLOAT) {
    throw SystemError(item_ + ": does not hold numbers");
  }
  check_rows(begin, count);
  hid_t type = H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, float>) type = H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, std::uint8_t>) type = H5T_NATIVE_UINT8;
  if constexpr (std::is_same_v<T, std::uint32_t>) type = H5T_NATIVE_UINT32;
  if constexpr (std::is_same_v<T, std::uint64_t>) type = H5T_NATIVE_UINT64;
  if constexpr (std::is_same_v<T, std::int32_t>) type = H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, std::int64_t>) type = H5T_NATIVE_INT64;
  std::vector<T> values(count * row_elements_);
  if (!values.empty()) read_into(values.data(), type, begin, count);
  return values;
}

template std::vector<float> ColumnReader::read(std::uint64_t, std::uint64_t) const;
template std::vector<double> ColumnReader::read(std::uint64_t, std::uint64_t) const;
template std::vector<std::uint8_t> ColumnReader::read(std::uint64_t, std::uint64_t) const;
template std::vector<std::uint32_t> ColumnReader::read(std::uint64_t, std::uint64_t) const;
template std::vector<std::uint64_t> ColumnReader::read(std::uint64_t, std::uint64_t) const;
template std::vector<std::int32_t> ColumnReader::read(std::uint64_t, std::uint64_t) const;
template std::vector<std::int64_t> ColumnReader::read(std::uint64_t, std::uint64_t) const;

int ColumnReader::steps() const {
  if (check(H5Aexists(dataset_.get(), kStepsAttribute), item_, "cannot read its steps") == 0) {
    return 0;
  }
  const std::int32_t count = read_int_attribute(dataset_.get(), kStepsAttribute, item_);
  for (const StoredAs stored : {StoredAs::kUInt16, StoredAs::kUInt8}) {
    if (count == step_count(stored)) return count;
  }
  throw SystemError(fmt::format("{}: {} steps; a part has 255 or 65535", item_, count));
}

/// Looks at the references of a row's texts as they are stored.
void ColumnReader::check_texts(std::uint64_t index) const {
  constexpr const char* kWhat = "cannot read its chunks";
  std::vector<hsize_t> chunk(row_shape_.size() + 1, 0);
  chunk[0] = index / chunk_rows_ * chunk_rows_;
  hsize_t stored_bytes = 0;
  check(H5Dget_chunk_storage_size(dataset_.get(), chunk.data(), &stored_bytes), item_, kWhat);
  const std::uint64_t row_bytes = row_elements_ * TextReference::kBytes;
  if (stored_bytes != chunk_rows_ * row_bytes) {
    throw SystemError(fmt::format("{}: a chunk of {} bytes, not {}", item_, stored_bytes,
                                  chunk_rows_ * row_bytes));
  }
  std::vector<char> stored(stored_bytes);
  std::uint32_t filters = 0;
  check(H5Dread_chunk(dataset_.get(), H5P_DEFAULT, chunk.data(), &filters, stored.data()), item_,
        kWhat);
  const char* row = stored.data() + (index - chunk[0]) * row_bytes;
  for (std::size_t i = 0; i < row_elements_; ++i) {
    texts_->check(TextReference::from_stored(row + i * TextReference::kBytes), item_);
  }
}

std::vector<std::string> ColumnReader::read_texts(std::uint64_t index) const {
  if (class_ != H5T_STRING) throw SystemError(item_ + ": does not hold texts");
  check_rows(index, 1);
  check_texts(index);
  const Type type = string_type();
  std::vector<char*> pointers(row_elements_, nullptr);
  std::vector<std::string> texts;
  texts.reserve(row_elements_);
  if (row_elements_ > 0) read_into(pointers.data(), type.get(), index, 1);
  for (char* text : pointers) {
    texts.emplace_back(text == nullptr ? "" : text);
    H5free_memory(text);
  }
  return texts;
}

}  // namespace cfp::hdf5
