#include "results/report/tables_html.h"

#include <algorithm>
#include <cstdio>

#include "results/report/html.h"
#include "results/statistics/tables.h"

namespace cfp::html {
namespace {

/// A page for people: what goes beyond these stands in the CSV files.
constexpr std::size_t kMaxClassRows = 1000;
constexpr std::size_t kMaxMatrixClasses = 24;
constexpr std::size_t kMaxPairs = 30;
constexpr std::size_t kKernelsAClass = 5;
constexpr std::size_t kMaxKernelRows = 200;

std::string percent(const std::optional<double>& share) {
  return share ? fixed(100 * *share, 1) + " %" : "–";
}

std::optional<double> ratio(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

std::string mean(const Accumulator& a, int digits = 1) {
  return a.empty() ? "–" : fixed(a.mean(), digits);
}

std::string mean_and_spread(const Accumulator& a) {
  if (a.count() < 2) return mean(a);
  return fixed(a.mean(), 1) + " ± " + fixed(a.deviation(), 1);
}

Cell count_cell(std::int64_t value) { return Cell::figure(std::to_string(value)); }
Cell share_cell(const std::optional<double>& share) {
  return Cell::figure(percent(share), share.value_or(-1));
}

/// Classes that occur as a label or were explained.
std::vector<int> seen_classes(const RunStatistics& s) {
  std::vector<int> seen;
  for (int i = 0; i < s.num_classes(); ++i) {
    const ClassStatistics& c = s.classes()[static_cast<std::size_t>(i)];
    if (c.labelled > 0 || c.explained > 0) seen.push_back(i);
  }
  return seen;
}

void add_term(std::string& out, std::string_view term, std::string_view html) {
  out += "<dt>";
  out += escape(term);
  out += "</dt><dd>";
  out += html;
  out += "</dd>\n";
}

}  // namespace

std::string headline(const RunStatistics& s) {
  const RunInfo& info = s.info();
  std::string out;
  if (info.random_weights) {
    out += std::string("<p class=\"warning\">") + escape(kRandomWeightsNote) + "</p>\n";
  }
  out += "<dl>\n";
  add_term(out, "network", escape(info.network));
  add_term(out, "method", escape(info.method));
  add_term(out, "data", escape(info.dataset));
  add_term(out, "clips",
           std::to_string(s.done()) + " done, " + std::to_string(s.failed()) + " failed");
  if (s.labelled() > 0) {
    add_term(out, "accuracy",
             "top-1 " + percent(s.top1()) + ", top-5 " + percent(s.top5()) + ", mean of classes " +
                 percent(s.mean_class_accuracy()) + " (" + std::to_string(s.labelled()) +
                 " labelled clips)");
  }
  if (!s.counts().found.empty()) {
    add_term(out, "pyramid",
             mean_and_spread(s.counts().found) + " kernels found a clip, " +
                 mean_and_spread(s.counts().reached) + " of them reached, " +
                 mean_and_spread(s.counts().edges) + " edges");
  }
  if (s.done() > 0) {
    add_term(out, "time a clip",
             "decode " + mean(s.decode_s(), 3) + " s, network " + mean(s.network_s(), 3) +
                 " s, pyramid " + mean(s.pyramid_s(), 3) + " s");
  }
  return out + "</dl>\n";
}

namespace {

std::string layers_table(const RunStatistics& s) {
  if (s.layers().empty()) return "";
  std::vector<std::vector<Cell>> rows;
  for (const LayerStatistics& layer : s.layers()) {
    const std::optional<double> share =
        layer.kernels > 0 && !layer.counts.found.empty()
            ? std::optional(layer.counts.found.mean() / static_cast<double>(layer.kernels))
            : std::nullopt;
    rows.push_back({Cell::text(layer.name), count_cell(layer.depth), count_cell(layer.kernels),
                    Cell::figure(mean_and_spread(layer.counts.found), share.value_or(-1)),
                    Cell::figure(mean(layer.counts.reached)),
                    count_cell(layer.kernels_ever_found()),
                    Cell::figure(mean(layer.counts.found_channels)),
                    Cell::figure(mean_and_spread(layer.counts.edges)),
                    layer.kernel_totals.found_share.empty()
                        ? Cell::figure("–")
                        : share_cell(layer.kernel_totals.found_share.mean())});
  }
  return "<h2>Layers</h2>\n" +
         table("From the class downwards; means over clips, ± standard deviation",
               {"layer", "depth", "kernels", "found", "reached", "ever found", "channels found",
                "edges", "share of P on found kernels"},
               rows);
}

std::string classes_table(const RunStatistics& s) {
  std::vector<std::vector<Cell>> rows;
  for (const int i : seen_classes(s)) {
    if (rows.size() == kMaxClassRows) break;
    const ClassStatistics& c = s.classes()[static_cast<std::size_t>(i)];
    rows.push_back(
        {Cell::text(s.class_name(i)), count_cell(c.labelled), share_cell(ratio(c.top1, c.labelled)),
         share_cell(ratio(c.top5, c.labelled)), count_cell(c.predicted), count_cell(c.explained),
         Cell::figure(mean_and_spread(c.counts.found)),
         Cell::figure(mean_and_spread(c.counts.edges)), Cell::figure(mean(c.target_value, 3))});
  }
  if (rows.empty()) return "";
  return "<h2>Classes</h2>\n" +
         table("Clips with the label, how they were predicted, and what explaining the class found",
               {"class", "clips", "top-1", "top-5", "predicted", "explained", "kernels", "edges",
                "target value"},
               rows);
}

std::string confusion_table(const RunStatistics& s) {
  const std::vector<int> seen = seen_classes(s);
  if (s.labelled() == 0 || seen.size() < 2 || seen.size() > kMaxMatrixClasses) return "";
  std::vector<std::string> header{"label \\ prediction"};
  for (const int i : seen) header.push_back(s.class_name(i));
  header.emplace_back("other");
  std::vector<std::vector<Cell>> rows;
  for (const int label : seen) {
    const std::int64_t all = s.classes()[static_cast<std::size_t>(label)].labelled;
    std::vector<Cell> row{Cell::text(s.class_name(label))};
    std::int64_t shown = 0;
    for (const int prediction : seen) {
      const std::int64_t clips = s.confusion(label, prediction);
      shown += clips;
      row.push_back(
          Cell::figure(clips == 0 ? "" : std::to_string(clips), ratio(clips, all).value_or(-1)));
    }
    row.push_back(Cell::figure(all == shown ? "" : std::to_string(all - shown)));
    rows.push_back(std::move(row));
  }
  return "<h2>Confusion</h2>\n" +
         table("Clips of a label (row) predicted as a class (column)", header, rows);
}

std::string overlap_matrix(const RunStatistics& s, const std::vector<ClassOverlap>& overlaps,
                           const std::vector<int>& explained) {
  std::map<std::pair<int, int>, std::optional<double>> jaccard;
  for (const ClassOverlap& o : overlaps) {
    jaccard[{o.first, o.second}] = jaccard[{o.second, o.first}] = o.jaccard();
  }
  std::vector<std::string> header{"class"};
  for (const int i : explained) header.push_back(s.class_name(i));
  std::vector<std::vector<Cell>> rows;
  for (const int a : explained) {
    std::vector<Cell> row{Cell::text(s.class_name(a))};
    for (const int b : explained) {
      const std::optional<double> value = a == b ? std::nullopt : jaccard[{a, b}];
      row.push_back(Cell::figure(value ? fixed(*value, 2) : a == b ? "" : "–", value.value_or(-1)));
    }
    rows.push_back(std::move(row));
  }
  return table("Jaccard index of two classes' kernel sets", header, rows);
}

std::string overlap_pairs(const RunStatistics& s, std::vector<ClassOverlap> overlaps) {
  std::stable_sort(overlaps.begin(), overlaps.end(), [](const auto& a, const auto& b) {
    return a.jaccard().value_or(-1) > b.jaccard().value_or(-1);
  });
  std::vector<std::vector<Cell>> rows;
  for (const ClassOverlap& o : overlaps) {
    if (rows.size() == kMaxPairs) break;
    const std::optional<double> jaccard = o.jaccard();
    rows.push_back({Cell::text(s.class_name(o.first)), Cell::text(s.class_name(o.second)),
                    count_cell(o.first_kernels), count_cell(o.second_kernels), count_cell(o.shared),
                    Cell::figure(jaccard ? fixed(*jaccard, 2) : "–", jaccard.value_or(-1))});
  }
  return table("The pairs that overlap most; all stand in class_overlap.csv",
               {"class", "class", "kernels", "kernels", "shared", "Jaccard"}, rows);
}

std::string overlap_section(const RunStatistics& s) {
  const std::vector<ClassOverlap> overlaps = s.overlaps();
  if (overlaps.empty()) return "";
  std::vector<int> explained;
  for (int i = 0; i < s.num_classes(); ++i) {
    if (s.classes()[static_cast<std::size_t>(i)].explained > 0) explained.push_back(i);
  }
  return "<h2>Overlap of classes</h2>\n<p class=\"soft\">A class's kernels are those found in at "
         "least half of its explained clips, in all layers but the classifier.</p>\n" +
         (explained.size() <= kMaxMatrixClasses ? overlap_matrix(s, overlaps, explained)
                                                : overlap_pairs(s, overlaps));
}

/// A kernel and in how many of a class's clips it is found.
struct Frequent {
  const LayerStatistics* layer = nullptr;
  std::size_t kernel = 0;
  std::uint32_t found = 0;
};

std::vector<Frequent> most_frequent(const RunStatistics& s, int class_index) {
  std::vector<Frequent> all;
  for (const LayerStatistics& layer : s.layers()) {
    const auto found = layer.found_by_class.find(class_index);
    if (layer.depth == 1 || found == layer.found_by_class.end()) continue;
    for (std::size_t k = 0; k < found->second.size(); ++k) {
      if (found->second[k] > 0) all.push_back({&layer, k, found->second[k]});
    }
  }
  const std::size_t kept = std::min(all.size(), kKernelsAClass);
  std::stable_sort(all.begin(), all.end(),
                   [](const Frequent& a, const Frequent& b) { return a.found > b.found; });
  all.resize(kept);
  return all;
}

std::string kernels_table(const RunStatistics& s) {
  std::vector<std::vector<Cell>> rows;
  for (const int i : seen_classes(s)) {
    const std::int64_t explained = s.classes()[static_cast<std::size_t>(i)].explained;
    for (const Frequent& f : most_frequent(s, i)) {
      if (rows.size() == kMaxKernelRows) break;
      rows.push_back({Cell::text(s.class_name(i)), Cell::text(f.layer->name),
                      Cell::figure(std::to_string(f.kernel)),
                      Cell::figure(std::to_string(f.found) + " of " + std::to_string(explained),
                                   ratio(f.found, explained).value_or(-1))});
    }
  }
  if (rows.empty()) return "";
  return "<h2>Kernels found most often</h2>\n" +
         table("Of each explained class, the classifier left out; all stand in per_kernel.csv",
               {"class", "layer", "kernel", "clips"}, rows);
}

std::string failures_section(const RunStatistics& s) {
  if (s.failed() == 0) return "";
  std::vector<std::vector<Cell>> reasons, rows;
  for (const auto& [reason, count] : s.failures_by_reason()) {
    reasons.push_back({Cell::text(to_string(reason)), count_cell(count)});
  }
  for (const Failure& f : s.first_failures()) {
    rows.push_back({Cell::figure(std::to_string(f.row)), Cell::text(f.clip_id), Cell::text(f.path),
                    Cell::text(f.stage), Cell::text(to_string(f.reason)), Cell::text(f.message)});
  }
  return "<h2>Failures</h2>\n" + table("Clips by reason", {"reason", "clips"}, reasons) +
         table("The first of them; all stand in failures.csv",
               {"row", "clip", "file", "stage", "reason", "message"}, rows);
}

}  // namespace

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string tables(const RunStatistics& statistics) {
  return layers_table(statistics) + classes_table(statistics) + confusion_table(statistics) +
         overlap_section(statistics) + kernels_table(statistics) + failures_section(statistics);
}

}  // namespace cfp::html
