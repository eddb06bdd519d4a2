#include "results/store/part_file.h"

#include "results/store/column.h"

namespace cfp::hdf5 {
namespace {

/// Leaves the locking of files to whoever holds the folder. HDF5 would lock each file that it
/// opens, and fail where the file system has no locks, or where another reader's lock was left
/// behind.
void leave_locks_alone(hid_t access, const std::string& path) {
#if H5_VERSION_GE(1, 10, 7)
  check(H5Pset_file_locking(access, /*use_file_locking=*/false, /*ignore_when_disabled=*/true),
        path, "cannot open it");
#else
  // Before 1.10.7 the environment variable HDF5_USE_FILE_LOCKING alone decides.
  static_cast<void>(access), static_cast<void>(path);
#endif
}

}  // namespace

File create_file(const std::string& path) {
  initialise();
  const PropertyList access(check(H5Pcreate(H5P_FILE_ACCESS), path, "cannot create it"));
  // One format for every version of the library from 1.10 on.
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), path,
        "cannot create it");
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), path, "cannot create it");
  leave_locks_alone(access.get(), path);
  const PropertyList creation(check(H5Pcreate(H5P_FILE_CREATE), path, "cannot create it"));
  check(H5Pset_obj_track_times(creation.get(), false), path, "cannot create it");
  keep_attributes_compact(creation.get(), path);
  return File(check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), path,
                    "cannot create it"));
}

File open_file(const std::string& path) {
  initialise();
  const PropertyList access(check(H5Pcreate(H5P_FILE_ACCESS), path, "cannot open it"));
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), path, "cannot open it");
  leave_locks_alone(access.get(), path);
  return File(check(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), path,
                    "cannot open it as an HDF5 file"));
}

void write_header(const std::string& file, hid_t root, const std::string& format,
                  const PartHeader& header) {
  write_attribute(root, "format", format, file);
  write_attribute(root, "schema_version", kPartSchemaVersion, file);
  write_attribute(root, "name", header.name, file);
  write_attribute(root, "config", header.config, file);
  write_attribute(root, "config_hash", header.config_hash, file);
  write_attribute(root, "manifest_hash", header.manifest_hash, file);
  write_attribute(root, "weights_hash", header.weights_hash, file);
  write_attribute(root, "network", header.network, file);
  write_attribute(root, "preset", header.preset, file);
  write_attribute(root, "method", header.method, file);
  write_attribute(root, "command", header.command, file);
  write_attribute(root, "random_weights", header.random_weights ? 1 : 0, file);
  if (!header.continues.empty()) write_attribute(root, "continues", header.continues, file);
  const Group versions = create_group(root, "versions", file);
  for (const auto& [library, version] : header.versions) {
    write_attribute(versions.get(), library.c_str(), version, file);
  }
  const Group classes = create_group(root, "classes", file);
  TextColumn names(file, classes.get(),
                   {"name", {}, "classes", "", "of each class, in the order of the logits"});
  for (const std::string& name : header.class_names) names.append(name);
  names.flush();
}

}  // namespace cfp::hdf5
