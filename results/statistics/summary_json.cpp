#include "results/statistics/summary_json.h"

#include <nlohmann/json.hpp>

#include "results/statistics/tables.h"

namespace cfp {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json to_json(const Accumulator& a) {
  if (a.empty()) return {{"count", 0}};
  return {{"count", a.count()},
          {"mean", a.mean()},
          {"std", a.deviation()},
          {"min", a.minimum()},
          {"max", a.maximum()}};
}

Json to_json(const PyramidCounts& counts) {
  return {{"kernels_found", to_json(counts.found)},
          {"kernels_reached", to_json(counts.reached)},
          {"channels_found", to_json(counts.found_channels)},
          {"edges", to_json(counts.edges)}};
}

Json to_json(const TensorTotals& totals) {
  return {{"p", to_json(totals.positive)},
          {"n", to_json(totals.negative)},
          {"found_share_of_p", to_json(totals.found_share)}};
}

Json to_json(const NotedClip& clip, const char* value_name, const RunStatistics& s) {
  Json json = {{"row", clip.row}, {"clip_id", clip.clip_id}};
  json["label"] = clip.label < 0 ? Json(nullptr) : Json(s.class_name(clip.label));
  json["prediction"] = s.class_name(clip.prediction);
  json[value_name] = clip.value;
  return json;
}

Json to_json(const Failure& failure) {
  return {{"row", failure.row},
          {"clip_id", failure.clip_id},
          {"path", failure.path},
          {"stage", failure.stage},
          {"reason", std::string(to_string(failure.reason))},
          {"message", failure.message}};
}

Json classes_json(const RunStatistics& s) {
  Json classes = Json::array();
  for (int i = 0; i < s.num_classes(); ++i) {
    const ClassStatistics& c = s.classes()[static_cast<std::size_t>(i)];
    if (c.labelled == 0 && c.predicted == 0 && c.explained == 0) continue;
    Json json = {
        {"class", i},     {"name", s.class_name(i)},  {"labelled", c.labelled},  {"top1", c.top1},
        {"top5", c.top5}, {"predicted", c.predicted}, {"explained", c.explained}};
    if (c.explained > 0) json["pyramid"] = to_json(c.counts);
    classes.push_back(std::move(json));
  }
  return classes;
}

Json layers_json(const RunStatistics& s) {
  Json layers = Json::array();
  for (const LayerStatistics& layer : s.layers()) {
    layers.push_back(
        {{"name", layer.name},
         {"depth", layer.depth},
         {"kernels", layer.kernels},
         {"channels", layer.channels},
         {"kernels_ever_found", layer.kernels_ever_found()},
         {"relevance",
          {{"kernels", to_json(layer.kernel_totals)}, {"channels", to_json(layer.channel_totals)}}},
         {"constant_tubes", layer.constant_tubes},
         {"pyramid", to_json(layer.counts)}});
  }
  return layers;
}

Json additions_json(const RunStatistics& s) {
  Json additions = Json::array();
  for (const AdditionTotals& addition : s.additions()) {
    Json addends = Json::array();
    for (std::size_t i = 0; i < addition.addends.size(); ++i) {
      // Nothing is selected in an addend, so no share of it is found.
      addends.push_back({{"node", addition.addend_names[i]},
                         {"p", to_json(addition.addends[i].positive)},
                         {"n", to_json(addition.addends[i].negative)}});
    }
    additions.push_back(
        {{"name", addition.name}, {"sum", to_json(addition.sum)}, {"addends", addends}});
  }
  return additions;
}

Json overlap_json(const RunStatistics& s) {
  Accumulator jaccard;
  for (const ClassOverlap& pair : s.overlaps()) {
    if (const std::optional<double> value = pair.jaccard()) jaccard.add(*value);
  }
  return {{"definition",
           "Jaccard index of the kernels found in at least half of the explained clips of each of "
           "two classes, over all layers but the classifier"},
          {"pairs", to_json(jaccard)}};
}

}  // namespace

std::string summary_json(const RunStatistics& s) {
  const RunInfo& info = s.info();
  Json json = {
      {"schema_version", 1},     {"name", info.name},
      {"network", info.network}, {"method", info.method},
      {"dataset", info.dataset}, {"weights", info.random_weights ? "random" : "checkpoint"}};
  if (info.random_weights) json["note"] = kRandomWeightsNote;
  json["clips"] = {{"done", s.done()}, {"failed", s.failed()}, {"labelled", s.labelled()}};
  Json reasons = Json::object();
  for (const auto& [reason, count] : s.failures_by_reason()) {
    reasons[std::string(to_string(reason))] = count;
  }
  json["failures"] = {{"by_reason", reasons}, {"first", Json::array()}};
  for (const Failure& failure : s.first_failures()) {
    json["failures"]["first"].push_back(to_json(failure));
  }
  json["accuracy"] = {{"top1", to_json(s.top1())},
                      {"top5", to_json(s.top5())},
                      {"mean_class", to_json(s.mean_class_accuracy())}};
  json["pyramid"] = to_json(s.counts());
  json["class_overlap"] = overlap_json(s);
  json["seconds_a_clip"] = {{"decode", to_json(s.decode_s())},
                            {"network", to_json(s.network_s())},
                            {"pyramid", to_json(s.pyramid_s())}};
  json["layers"] = layers_json(s);
  json["additions"] = additions_json(s);
  json["classes"] = classes_json(s);
  json["slowest_clips"] = Json::array();
  for (const NotedClip& clip : s.slowest()) {
    json["slowest_clips"].push_back(to_json(clip, "seconds", s));
  }
  json["confident_errors"] = Json::array();
  for (const NotedClip& clip : s.confident_errors()) {
    json["confident_errors"].push_back(to_json(clip, "probability", s));
  }
  // A file name need not be UTF-8; JSON must be.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace cfp
