// What a part costs: the clips of a real one written again, in every way that a config can ask for.
//
//   cfp_benchmark_store WORK_DIR/part-00000.h5
#include <ctime>
#include <exception>

#include <fmt/format.h>
#include <unistd.h>

#include "results/store/part_reader.h"
#include "results/store/part_writer.h"

namespace cfp {
namespace {

struct Way {
  std::string name;
  StoreOptions options;
};

struct Cost {
  double kilobytes = 0, cpu_ms = 0;  ///< a clip
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

Cost cost_of(const std::vector<ClipResult>& clips, const StoreOptions& options,
             const std::filesystem::path& path) {
  const double start = cpu_seconds();
  PartWriter writer(path, {}, options);
  for (const ClipResult& clip : clips) writer.append(clip);
  writer.finish();
  const auto count = static_cast<double>(clips.size());
  return {static_cast<double>(std::filesystem::file_size(path)) / 1000 / count,
          (cpu_seconds() - start) * 1000 / count};
}

/// What clips take without edges, without tubes.
StoreOptions without(StoreOptions options, bool edges, bool tubes) {
  options.edges = options.edges && !edges;
  options.tubes = options.tubes && !tubes;
  return options;
}

void measure(const std::filesystem::path& part_path) {
  std::vector<ClipResult> clips;
  double tube_kb = 0, edges = 0;
  const PartReader part(part_path);
  for (std::int64_t i = 0; i < part.clips(); ++i) clips.push_back(part.read(i));
  for (const ClipResult& clip : clips) {
    for (const Pyramid& pyramid : clip.pyramids) {
      for (const PyramidLayer& layer : pyramid.layers) {
        tube_kb += static_cast<double>(layer.tube.values.size()) * 4 / 1000;
        edges += static_cast<double>(layer.edges.size());
      }
    }
  }
  const auto count = static_cast<double>(clips.size());
  tube_kb /= count;
  fmt::print("{} clips, {} layers, a clip: {:.0f} edges, tubes of {:.1f} kB as float32\n\n",
             clips.size(), clips.at(0).pyramids.at(0).layers.size(), edges / count, tube_kb);
  fmt::print("{:34} {:>8} {:>8} {:>9} {:>9} {:>9}\n", "", "CPU ms", "kB", "edges kB", "tubes kB",
             "of float");
  using enum StoredAs;
  const std::vector<Way> ways = {
      {"as by default", {}},
      {"compression: none", {.deflate = 0}},
      {"compression: 1", {.deflate = 1}},
      {"compression: 4", {.deflate = 4}},
      {"compression: 9", {.deflate = 9}},
      {"chunk_kb: 8", {.chunk_bytes = 8 * 1024}},
      {"chunk_kb: 128", {.chunk_bytes = 128 * 1024}},
      {"chunk_kb: 512", {.chunk_bytes = 512 * 1024}},
      {"tubes: uint16", {.tube_values = kUInt16}},
      {"tubes: uint8", {.tube_values = kUInt8}},
      {"edge_scores: uint16", {.edge_scores = kUInt16}},
      {"uint8, uint16", {.tube_values = kUInt8, .edge_scores = kUInt16}},
      {"uint8, uint16, compression: 4",
       {.tube_values = kUInt8, .edge_scores = kUInt16, .deflate = 4}},
  };
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("cfp-store-{}.h5", ::getpid());
  for (const Way& way : ways) {
    cost_of(clips, way.options, path);  // what is done first is slower
    const Cost all = cost_of(clips, way.options, path);
    const Cost no_edges = cost_of(clips, without(way.options, true, false), path);
    const Cost no_tubes = cost_of(clips, without(way.options, false, true), path);
    const double tubes = all.kilobytes - no_tubes.kilobytes;
    fmt::print("{:34} {:8.2f} {:8.1f} {:9.1f} {:9.1f} {:9.3f}\n", way.name, all.cpu_ms,
               all.kilobytes, all.kilobytes - no_edges.kilobytes, tubes, tubes / tube_kb);
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace cfp

int main(int count, char** words) {
  if (count != 2) {
    fmt::print(stderr, "usage: cfp_benchmark_store PART.h5\n");
    return 2;
  }
  try {
    cfp::measure(words[1]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "cfp_benchmark_store: {}\n", error.what());
    return 1;
  }
  return 0;
}
