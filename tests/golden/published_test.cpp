// The scorer `published` against the paper's released code: every case of the folder, edge for
// edge, apart from the ties that the files list.
#include "stages/pyramid/published.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "stages/network/builders.h"
#include "stages/network/executor.h"
#include "stages/network/tap_means.h"
#include "stages/pyramid/scorer.h"
#include "stages/pyramid/selection.h"
#include "tests/golden/formula_tensors.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using nlohmann::json;
using Floats = std::vector<float>;

/// Means over the last `inner` numbers.
Floats means_of(const Floats& values, std::int64_t inner) {
  Floats means;
  for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(inner)) {
    double sum = 0;
    for (std::int64_t k = 0; k < inner; ++k) sum += values[i + static_cast<std::size_t>(k)];
    means.push_back(static_cast<float>(sum / static_cast<double>(inner)));
  }
  return means;
}

std::vector<int> kept(const std::vector<double>& scores, double theta) {
  std::vector<int> result;
  for (std::size_t c = 0; c < scores.size(); ++c) {
    if (scores[c] >= theta) result.push_back(static_cast<int>(c));
  }
  return result;
}

/// Bits in hex, the lowest bit of the first byte first.
std::vector<int> from_hex(const std::string& hex) {
  std::vector<int> bits;
  for (std::size_t byte = 0; 2 * byte + 1 < hex.size(); ++byte) {
    const int value = std::stoi(hex.substr(2 * byte, 2), nullptr, 16);
    for (int bit = 0; bit < 8; ++bit) {
      if ((value >> bit & 1) != 0) bits.push_back(static_cast<int>(8 * byte) + bit);
    }
  }
  return bits;
}

/// What is in one list and not in the other.
std::vector<int> difference(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> result;
  std::ranges::set_symmetric_difference(a, b, std::back_inserter(result));
  return result;
}

/// One layer of a case: means of weights, and of what enters.
struct LayerMeans {
  Floats weights;         ///< [C_out, C_in/groups]
  std::size_t width = 0;  ///< C_in/groups
  std::size_t out = 0;    ///< C_out/groups
  Floats values;          ///< [C_in]
};

/// Counts entries beyond the ties at which a layer of a run differs.
/// @param channels_of gives the kept bits of a kernel, as the run's `row` counts them
std::size_t wrong_entries(const json& layer,
                          const std::function<std::vector<int>(int)>& channels_of) {
  std::set<std::pair<int, int>> ties;
  for (const json& tie : layer.at("ties")) ties.emplace(tie.at(0), tie.at(1));
  const auto skipped = layer.at("near_zero_sum").get<std::set<int>>();
  std::size_t wrong = 0;
  for (std::size_t k = 0; k < layer.at("kernels").size(); ++k) {
    const int kernel = layer.at("kernels")[k];
    if (skipped.contains(kernel)) continue;
    for (const int bit : difference(channels_of(kernel), from_hex(layer.at("kept")[k]))) {
      wrong += ties.contains({kernel, bit}) ? 0 : 1;
    }
  }
  return wrong;
}

std::vector<int> scored(const LayerMeans& layer, int kernel, double theta, bool whole_row) {
  const auto k = static_cast<std::size_t>(kernel);
  const std::size_t first = k / layer.out * layer.width;
  std::vector<int> channels =
      kept(published_scores(std::span(layer.weights).subspan(k * layer.width, layer.width),
                            std::span(layer.values).subspan(first, layer.width)),
           theta);
  if (whole_row) {
    for (int& channel : channels) channel += static_cast<int>(first);
  }
  return channels;
}

std::vector<std::filesystem::path> cases_of(const std::set<std::string>& kinds) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : test::json_files(test::golden_scorers())) {
    const json file = json::parse(std::ifstream(path));
    if (file.at("format") == "cfp-golden-1" && kinds.contains(file.at("kind")))
      files.push_back(path);
  }
  return files;
}

std::string stem(const testing::TestParamInfo<std::filesystem::path>& info) {
  return info.param.stem().string();
}

class PublishedCase : public testing::TestWithParam<std::filesystem::path> {
 protected:
  PublishedCase() : file_(json::parse(std::ifstream(GetParam()))) {}

  std::uint64_t seed() const { return file_.at("base_seed"); }
  json file_;
};

// ---- rows ------------------------------------------------------------------------------------

class PublishedRows : public PublishedCase {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PublishedRows);
INSTANTIATE_TEST_SUITE_P(Golden, PublishedRows, testing::ValuesIn(cases_of({"rows"})), stem);

Floats flat(const json& rows) {
  Floats values;
  for (const json& row : rows) {
    for (const json& number : row) values.push_back(number);
  }
  return values;
}

TEST_P(PublishedRows, AreKeptAsTheReleasedCodeDoes) {
  for (const json& row : file_.at("rows")) {
    const auto inner = [](const json& rows) { return static_cast<std::int64_t>(rows[0].size()); };
    const auto scores = published_scores(means_of(flat(row.at("w")), inner(row.at("w"))),
                                         means_of(flat(row.at("x")), inner(row.at("x"))));
    EXPECT_EQ(kept(scores, row.at("theta")), row.at("kept").get<std::vector<int>>())
        << row.at("name");
  }
  for (const json& row : file_.at("class_rows")) {
    const auto scores =
        published_class_scores(flat(row.at("w")), row.at("w")[0].size(), row.at("label"));
    EXPECT_EQ(kept(scores, row.at("theta")), row.at("kept").get<std::vector<int>>())
        << row.at("name");
  }
}

// ---- layers made from a formula --------------------------------------------------------------

class PublishedLayers : public PublishedCase {
 protected:
  LayerMeans means(const json& layer) const {
    const test::FormulaTensor weight = test::formula_weight(layer.at("weight"), seed());
    const bool branch = layer.contains("input_offset");
    const test::FormulaTensor input =
        test::formula_activation(branch ? file_.at("input") : layer.at("input"), seed());
    const auto groups = layer.at("groups").get<std::int64_t>();
    LayerMeans result;
    result.weights =
        means_of(weight.values, weight.elements() / (weight.shape[0] * weight.shape[1]));
    result.width = static_cast<std::size_t>(weight.shape[1]);
    result.out = static_cast<std::size_t>(weight.shape[0] / groups);
    result.values = means_of(input.values, input.elements() / input.shape[0]);
    if (branch) {
      const auto first = result.values.begin() + layer.at("input_offset").get<std::int64_t>();
      result.values = Floats(first, first + weight.shape[1]);
    }
    return result;
  }

  void expect_class(const json& run) const {
    const test::FormulaTensor weight = test::formula_weight(file_.at("class"), seed());
    const auto scores = published_class_scores(
        weight.values, static_cast<std::size_t>(weight.shape[1]), file_.at("class").at("label"));
    const auto ties = run.at("class").at("ties").get<std::set<int>>();
    for (const int bit : difference(kept(scores, run.at("theta")),
                                    run.at("class").at("kept").get<std::vector<int>>())) {
      EXPECT_TRUE(ties.contains(bit)) << "class layer, channel " << bit;
    }
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PublishedLayers);
INSTANTIATE_TEST_SUITE_P(Golden, PublishedLayers,
                         testing::ValuesIn(cases_of({"chain", "layers", "branches"})), stem);

TEST_P(PublishedLayers, KeepTheSameEdges) {
  int runs = 0;
  for (const json& run : file_.at("runs")) {
    if (!run.at("required")) continue;
    ++runs;
    SCOPED_TRACE(run.at("theta").dump() + " " + run.at("variant").get<std::string>());
    if (run.contains("class")) expect_class(run);
    for (std::size_t l = 0; l < run.at("layers").size(); ++l) {
      const json& golden = run.at("layers")[l];
      const LayerMeans layer = means(file_.at("layers")[l]);
      const bool whole_row = golden.at("row") == "all";
      EXPECT_EQ(wrong_entries(
                    golden,
                    [&](int kernel) { return scored(layer, kernel, run.at("theta"), whole_row); }),
                0U)
          << golden.at("layer");
    }
  }
  EXPECT_GT(runs, 0);
}

// ---- whole networks --------------------------------------------------------------------------

class PublishedNetworks : public PublishedCase {
 protected:
  const json& layer_named(const std::string& name) const {
    return *std::ranges::find_if(file_.at("layers"),
                                 [&](const json& layer) { return layer.at("name") == name; });
  }

  /// The architecture is told by the case's name: resnet50_112.
  Network network(const Triple& size) const {
    const std::string name = file_.at("case").get<std::string>();
    Network result;
    result.architecture =
        name.substr(0, name.find('_')) + (name.starts_with("mfnet") ? "3d" : "_3d");
    const auto classes = static_cast<int>(file_.at("logits").size());
    result.graph = build_architecture(result.architecture, {.num_classes = classes}, size);
    result.weights = test::formula_tensors(file_.at("tensors"), seed());
    return result;
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PublishedNetworks);
INSTANTIATE_TEST_SUITE_P(Golden, PublishedNetworks, testing::ValuesIn(cases_of({"network"})), stem);

TEST_P(PublishedNetworks, KeepTheSameEdgesFromTheMeansGiven) {
  const Weights weights = test::formula_tensors(file_.at("tensors"), seed());
  for (const json& run : file_.at("runs")) {
    if (!run.at("required")) continue;
    const bool listed = run.contains("input") && run.at("input") == "listed";
    for (const json& golden : run.at("layers")) {
      const json& described = layer_named(golden.at("layer"));
      const WeightTensor& weight = weights.at(described.at("weight").get<std::string>());
      LayerMeans layer;
      layer.weights = means_of(Floats(weight.data.get(), weight.data.get() + weight.elements()),
                               weight.elements() / (weight.shape[0] * weight.shape[1]));
      layer.width = static_cast<std::size_t>(weight.shape[1]);
      layer.out =
          static_cast<std::size_t>(weight.shape[0] / described.at("groups").get<std::int64_t>());
      layer.values = described.at(listed ? "listed_mean_x" : "mean_x").get<Floats>();
      EXPECT_EQ(wrong_entries(golden,
                              [&](int kernel) {
                                return scored(layer, kernel, run.at("theta"),
                                              golden.at("row") == "all");
                              }),
                0U)
          << golden.at("layer");
    }
  }
}

/// Largest difference, as a share of the largest number expected.
double worst(const Floats& numbers, const Floats& expected) {
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(double{expected[i]}));
    error = std::max(error, std::abs(double{numbers[i]} - expected[i]));
  }
  return error / largest;
}

Floats to_floats(const at::Tensor& t) {
  const at::Tensor host = t.to(at::kFloat).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

TEST_P(PublishedNetworks, KeepTheSameEdgesFromTheClip) {
  constexpr double kMeans = 1e-5;  // what the folder's README asks of logits and means
  const test::FormulaTensor clip = test::formula_clip(file_.at("clip"), seed());
  const Network network =
      this->network({static_cast<int>(clip.shape[1]), static_cast<int>(clip.shape[2]),
                     static_cast<int>(clip.shape[3])});
  const Executor executor(network, {});
  const at::Tensor x = at::from_blob(const_cast<float*>(clip.values.data()),
                                     {1, 3, clip.shape[1], clip.shape[2], clip.shape[3]});
  const BoundedInput unused(InputBounds{{-2, -2, -2}, {2, 2, 2}});
  const int label = file_.at("class").at("label");
  for (const json& run : file_.at("runs")) {
    if (!run.at("required")) continue;
    ExplainOptions options{
        .method = "published", .threshold = run.at("theta"), .depth = run.at("depth")};
    const PyramidPlan plan = plan_pyramid(executor.graph(), options);
    const std::vector<PyramidRequest> requests{{options, plan}};
    const auto scorer = make_scorer("published");
    ForwardPlan needs = scorer->needs(executor.graph(), plan.wanted);
    needs.keep.assign(static_cast<std::size_t>(executor.graph().size()), true);
    const Trace trace = executor.forward(x, needs);
    if (file_.at("logits_comparable")) {
      EXPECT_LE(worst(to_floats(trace.logits), file_.at("logits").get<Floats>()), kMeans);
    }
    const Scores scores =
        scorer->score({executor, network, trace, unused, requests, {}}, {at::Tensor(), {label}})[0];
    for (const json& golden : run.at("layers")) {
      const NodeId id = executor.graph().find(golden.at("layer").get<std::string>());
      const NodeId entering = executor.graph().node(id).inputs[0];
      const json& described = layer_named(golden.at("layer"));
      EXPECT_LE(worst(to_floats(channel_means(trace.values[static_cast<std::size_t>(entering)])),
                      described.at("mean_x").get<Floats>()),
                kMeans);
      const NodeRelevance& known = scores.relevance[0][static_cast<std::size_t>(id)];
      const auto visited = found_channels(*known.kernels);
      EXPECT_EQ(std::vector<int>(visited.begin(), visited.end()),
                golden.at("kernels").get<std::vector<int>>())
          << golden.at("layer");
      const std::int64_t width = executor.layer(id).weight().size(1);
      const std::size_t wrong = wrong_entries(golden, [&](int kernel) {
        std::vector<int> channels;
        for (const Edge& edge : known.edges) {
          if (static_cast<int>(edge.kernel) != kernel) continue;
          channels.push_back(golden.at("row") == "all" ? static_cast<int>(edge.channel)
                                                       : static_cast<int>(edge.channel % width));
        }
        return channels;
      });
      // Means that differ in the last bits may move entries near theta: at most 1 in 100 000.
      EXPECT_LE(
          static_cast<double>(wrong),
          1e-5 * static_cast<double>(golden.at("kernels").size() * static_cast<std::size_t>(width)))
          << golden.at("layer");
    }
  }
}

TEST(GoldenScorerFolder, IsThere) {
  CFP_SKIP_WITHOUT(test::golden_scorers());
  EXPECT_FALSE(cases_of({"rows"}).empty());
  EXPECT_FALSE(cases_of({"chain"}).empty());
}

}  // namespace
}  // namespace cfp
