#include <algorithm>
#include <cstdio>

#include "results/statistics/tables.h"

namespace cfp {
namespace {

/// @return the number with `digits` behind the point, whatever the locale says of the rest
std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string percent(const std::optional<double>& share) {
  return share ? fixed(100 * *share, 1) + " %" : "-";
}

std::string percent(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return "-";
  return percent(static_cast<double>(part) / static_cast<double>(whole));
}

std::string mean(const Accumulator& a, int digits = 1) {
  return a.empty() ? "-" : fixed(a.mean(), digits);
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// A name as one line of text: control characters, which a terminal would obey, become `?`.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return out;
}

/// Lines of cells, the first column left, the others right, each as wide as its widest cell.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { add(std::move(header)); }

  void add(std::vector<std::string> cells) {
    widths_.resize(std::max(widths_.size(), cells.size()));
    cells[0] = shortened(printable(cells[0]));
    for (std::size_t i = 0; i < cells.size(); ++i) {
      widths_[i] = std::max(widths_[i], characters(cells[i]));
    }
    rows_.push_back(std::move(cells));
  }

  std::string text() const {
    std::string out;
    for (const std::vector<std::string>& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string space(widths_[i] - characters(row[i]), ' ');
        if (i == 0) {
          out += "  " + row[i] + space;
        } else {
          out += "  " + space + row[i];
        }
      }
      out.erase(out.find_last_not_of(' ') + 1);
      out += '\n';
    }
    return out;
  }

 private:
  static constexpr std::size_t kMaxFirstColumn = 36;

  static std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
  }

  static std::string shortened(const std::string& text) {
    if (characters(text) <= kMaxFirstColumn) return text;
    std::size_t end = 0, seen = 0;
    for (; end < text.size(); ++end) {
      if (!continues_character(text[end]) && ++seen == kMaxFirstColumn) break;
    }
    return text.substr(0, end) + "…";
  }

  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
};

/// @return `  … and 81 more in per_class.csv`, or nothing
std::string and_more(std::size_t shown, std::size_t all, const char* where) {
  if (shown >= all) return "";
  return "  … and " + std::to_string(all - shown) + " more in " + where + "\n";
}

std::string head(const RunStatistics& s) {
  const RunInfo& info = s.info();
  std::string out = printable(info.name) + ": " + printable(info.network) + ", method " +
                    printable(info.method) + ", data " + printable(info.dataset) + "\n";
  if (info.random_weights) out += std::string(kRandomWeightsNote) + "\n";
  out += "\n  clips         " + std::to_string(s.done()) + " done, " + std::to_string(s.failed()) +
         " failed";
  const char* separator = " (";
  for (const auto& [reason, count] : s.failures_by_reason()) {
    out += separator + std::string(to_string(reason)) + " " + std::to_string(count);
    separator = ", ";
  }
  if (!s.failures_by_reason().empty()) out += ")";
  out += "\n  accuracy      ";
  if (s.labelled() == 0) {
    out += "no clip has a label\n";
  } else {
    out += "top-1 " + percent(s.top1()) + ", top-5 " + percent(s.top5()) + ", mean of classes " +
           percent(s.mean_class_accuracy()) + " (" + std::to_string(s.labelled()) + " labelled)\n";
  }
  if (!s.counts().found.empty()) {
    out += "  pyramid       " + mean(s.counts().found) + " kernels found a clip, " +
           mean(s.counts().reached) + " reached, " + mean(s.counts().edges) + " edges\n";
  }
  if (s.done() > 0) {
    out += "  time a clip   decode " + mean(s.decode_s(), 3) + " s, network " +
           mean(s.network_s(), 3) + " s, pyramid " + mean(s.pyramid_s(), 3) + " s\n";
  }
  return out;
}

std::string layers_text(const RunStatistics& s, std::size_t limit) {
  if (s.layers().empty()) return "";
  TextTable table(
      {"layer", "depth", "kernels", "found", "reached", "ever found", "edges", "P on found"});
  const std::size_t shown = std::min(limit, s.layers().size());
  for (std::size_t i = 0; i < shown; ++i) {
    const LayerStatistics& layer = s.layers()[i];
    table.add({layer.name, std::to_string(layer.depth), std::to_string(layer.kernels),
               mean(layer.counts.found), mean(layer.counts.reached),
               std::to_string(layer.kernels_ever_found()), mean(layer.counts.edges),
               layer.kernel_totals.found_share.empty()
                   ? "-"
                   : percent(layer.kernel_totals.found_share.mean())});
  }
  std::string out = "\n";
  out += table.text();
  return out + and_more(shown, s.layers().size(), "per_layer.csv");
}

std::string classes_text(const RunStatistics& s, std::size_t limit) {
  std::vector<int> seen;
  for (int i = 0; i < s.num_classes(); ++i) {
    const ClassStatistics& c = s.classes()[static_cast<std::size_t>(i)];
    if (c.labelled > 0 || c.explained > 0) seen.push_back(i);
  }
  if (seen.empty()) return "";
  TextTable table({"class", "clips", "top-1", "top-5", "explained", "kernels", "edges"});
  const std::size_t shown = std::min(limit, seen.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const ClassStatistics& c = s.classes()[static_cast<std::size_t>(seen[i])];
    table.add({s.class_name(seen[i]), std::to_string(c.labelled), percent(c.top1, c.labelled),
               percent(c.top5, c.labelled), std::to_string(c.explained), mean(c.counts.found),
               mean(c.counts.edges)});
  }
  std::string out = "\n";
  out += table.text();
  return out + and_more(shown, seen.size(), "per_class.csv");
}

std::string failures_text(const RunStatistics& s, std::size_t limit) {
  if (s.failed() == 0) return "";
  std::string out = "\n  failures\n";
  const std::size_t shown = std::min(limit, s.first_failures().size());
  for (std::size_t i = 0; i < shown; ++i) {
    const Failure& f = s.first_failures()[i];
    out += "  row " + std::to_string(f.row) + " " + printable(f.clip_id) + ": " +
           std::string(to_string(f.reason)) + ": " + printable(f.message) + "\n";
  }
  return out + and_more(shown, static_cast<std::size_t>(s.failed()), "failures.csv");
}

}  // namespace

std::string format_summary(const RunStatistics& statistics, SummaryTextOptions options) {
  const auto limit = [](int value) { return static_cast<std::size_t>(std::max(value, 0)); };
  return head(statistics) + layers_text(statistics, limit(options.max_layers)) +
         classes_text(statistics, limit(options.max_classes)) +
         failures_text(statistics, limit(options.max_failures));
}

}  // namespace cfp
