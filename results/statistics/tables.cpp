#include "results/statistics/tables.h"

#include "results/statistics/csv.h"
#include "results/statistics/summary_json.h"

namespace cfp {
namespace {

const char* weights_cell(bool random_weights) { return random_weights ? "random" : "checkpoint"; }

const char* weights_cell(const RunStatistics& statistics) {
  return weights_cell(statistics.info().random_weights);
}

std::optional<double> ratio(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

/// Mean, or an empty cell where nothing was gathered.
std::optional<double> mean(const Accumulator& a) {
  if (a.empty()) return std::nullopt;
  return a.mean();
}
std::optional<double> deviation(const Accumulator& a) {
  if (a.count() < 2) return std::nullopt;
  return a.deviation();
}
std::optional<double> minimum(const Accumulator& a) {
  if (a.empty()) return std::nullopt;
  return a.minimum();
}
std::optional<double> maximum(const Accumulator& a) {
  if (a.empty()) return std::nullopt;
  return a.maximum();
}

void write_summary(const std::filesystem::path& path, const RunStatistics& s) {
  std::string text =
      "name,network,method,dataset,done,failed,labelled,top1_accuracy,top5_accuracy,"
      "mean_class_accuracy,targets,kernels_found_mean,kernels_reached_mean,channels_found_mean,"
      "edges_mean,decode_s_mean,network_s_mean,pyramid_s_mean,weights\n";
  const RunInfo& info = s.info();
  text += csv_line({info.name, info.network, info.method, info.dataset, s.done(), s.failed(),
                    s.labelled(), s.top1(), s.top5(), s.mean_class_accuracy(),
                    s.counts().found.count(), mean(s.counts().found), mean(s.counts().reached),
                    mean(s.counts().found_channels), mean(s.counts().edges), mean(s.decode_s()),
                    mean(s.network_s()), mean(s.pyramid_s()), weights_cell(s)});
  write_file(path, text);
}

void write_per_class(const std::filesystem::path& path, const RunStatistics& s) {
  OutputFile file(path);
  file.write(
      "class,name,labelled,top1,top1_accuracy,top5,top5_accuracy,predicted,precision,explained,"
      "kernels_found_mean,kernels_found_std,kernels_reached_mean,channels_found_mean,edges_mean,"
      "edges_std,target_mean,target_std,weights\n");
  for (int i = 0; i < s.num_classes(); ++i) {
    const ClassStatistics& c = s.classes()[static_cast<std::size_t>(i)];
    file.write(csv_line(
        {i, s.class_name(i), c.labelled, c.top1, ratio(c.top1, c.labelled), c.top5,
         ratio(c.top5, c.labelled), c.predicted, ratio(s.confusion(i, i), c.predicted_labelled),
         c.explained, mean(c.counts.found), deviation(c.counts.found), mean(c.counts.reached),
         mean(c.counts.found_channels), mean(c.counts.edges), deviation(c.counts.edges),
         mean(c.target_value), deviation(c.target_value), weights_cell(s)}));
  }
  file.finish();
}

/// Mean Jaccard index of all pairs of classes in one layer.
Accumulator mean_overlap(const RunStatistics& s, std::size_t layer) {
  Accumulator overlap;
  for (const ClassOverlap& pair : s.overlaps(layer)) {
    if (const std::optional<double> jaccard = pair.jaccard()) overlap.add(*jaccard);
  }
  return overlap;
}

void write_per_layer(const std::filesystem::path& path, const RunStatistics& s) {
  OutputFile file(path);
  file.write(
      "layer,depth,kernels,channels,targets,kernels_found_mean,kernels_found_std,"
      "kernels_found_min,kernels_found_max,kernels_reached_mean,kernels_ever_found,"
      "channels_found_mean,edges_mean,edges_std,edges_min,edges_max,kernels_p_mean,kernels_n_mean,"
      "kernels_found_share_of_p_mean,channels_p_mean,channels_n_mean,"
      "channels_found_share_of_p_mean,class_overlap_mean,constant_tubes,weights\n");
  for (std::size_t i = 0; i < s.layers().size(); ++i) {
    const LayerStatistics& layer = s.layers()[i];
    const PyramidCounts& n = layer.counts;
    file.write(csv_line({layer.name,
                         layer.depth,
                         layer.kernels,
                         layer.channels,
                         n.found.count(),
                         mean(n.found),
                         deviation(n.found),
                         minimum(n.found),
                         maximum(n.found),
                         mean(n.reached),
                         layer.kernels_ever_found(),
                         mean(n.found_channels),
                         mean(n.edges),
                         deviation(n.edges),
                         minimum(n.edges),
                         maximum(n.edges),
                         mean(layer.kernel_totals.positive),
                         mean(layer.kernel_totals.negative),
                         mean(layer.kernel_totals.found_share),
                         mean(layer.channel_totals.positive),
                         mean(layer.channel_totals.negative),
                         mean(layer.channel_totals.found_share),
                         mean(mean_overlap(s, i)),
                         layer.constant_tubes,
                         weights_cell(s)}));
  }
  file.finish();
}

void write_per_layer_class(const std::filesystem::path& path, const RunStatistics& s) {
  OutputFile file(path);
  file.write(
      "layer,class,name,targets,kernels_found_mean,kernels_reached_mean,channels_found_mean,"
      "edges_mean,weights\n");
  for (const LayerStatistics& layer : s.layers()) {
    for (const auto& [index, n] : layer.counts_by_class) {
      file.write(
          csv_line({layer.name, index, s.class_name(index), n.found.count(), mean(n.found),
                    mean(n.reached), mean(n.found_channels), mean(n.edges), weights_cell(s)}));
    }
  }
  file.finish();
}

void write_per_kernel(const std::filesystem::path& path, const RunStatistics& s) {
  OutputFile file(path);
  file.write("layer,kernel,class,found,targets,frequency,weights\n");
  for (const LayerStatistics& layer : s.layers()) {
    for (const auto& [index, found] : layer.found_by_class) {
      const std::int64_t targets = s.classes()[static_cast<std::size_t>(index)].explained;
      for (std::size_t k = 0; k < found.size(); ++k) {
        if (found[k] == 0) continue;
        file.write(csv_line(
            {layer.name, k, index, found[k], targets, ratio(found[k], targets), weights_cell(s)}));
      }
    }
  }
  file.finish();
}

void write_confusion(const std::filesystem::path& path, const RunStatistics& s) {
  OutputFile file(path);
  file.write("label,label_name,prediction,prediction_name,clips,weights\n");
  for (const auto& [pair, clips] : s.confusion_pairs()) {
    file.write(csv_line({pair.first, s.class_name(pair.first), pair.second,
                         s.class_name(pair.second), clips, weights_cell(s)}));
  }
  file.finish();
}

void write_class_overlap(const std::filesystem::path& path, const RunStatistics& s) {
  OutputFile file(path);
  file.write("class_a,name_a,class_b,name_b,kernels_a,kernels_b,shared_kernels,jaccard,weights\n");
  for (const ClassOverlap& o : s.overlaps()) {
    file.write(
        csv_line({o.first, s.class_name(o.first), o.second, s.class_name(o.second), o.first_kernels,
                  o.second_kernels, o.shared, o.jaccard(), weights_cell(s)}));
  }
  file.finish();
}

}  // namespace

void write_tables(const std::filesystem::path& folder, const RunStatistics& statistics) {
  write_file(folder / "summary.json", summary_json(statistics));
  write_summary(folder / "summary.csv", statistics);
  write_per_class(folder / "per_class.csv", statistics);
  write_per_layer(folder / "per_layer.csv", statistics);
  write_per_layer_class(folder / "per_layer_class.csv", statistics);
  write_per_kernel(folder / "per_kernel.csv", statistics);
  write_confusion(folder / "confusion.csv", statistics);
  write_class_overlap(folder / "class_overlap.csv", statistics);
}

FailuresCsv::FailuresCsv(const std::filesystem::path& path, bool random_weights)
    : file_(path), random_weights_(random_weights) {
  file_.write("row,clip_id,path,stage,reason,message,weights\n");
}

void FailuresCsv::add(const Failure& failure) {
  file_.write(
      csv_line({failure.row, failure.clip_id, failure.path, failure.stage,
                to_string(failure.reason), failure.message, weights_cell(random_weights_)}));
}

}  // namespace cfp
