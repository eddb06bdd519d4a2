// What whole-network pyramids cost.
#include <algorithm>
#include <map>
#include <memory>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "stages/network/random_weights.h"
#include "stages/pyramid/scorer.h"
#include "tests/benchmark/eager_python.h"
#include "tests/benchmark/explain_benchmark.h"
#include "tests/benchmark/measure.h"

namespace cfp::benchmark {
namespace {

constexpr int kTargets = 3;

struct Counts {
  std::size_t kernels = 0, edges = 0;
};

Counts count(const PyramidPlan& plan, const std::vector<NodeRelevance>& relevance) {
  Counts counts;
  for (const PyramidPlan::Layer& layer : plan.layers) {
    const NodeRelevance& known = relevance[static_cast<std::size_t>(layer.node)];
    counts.kernels += static_cast<std::size_t>(std::ranges::count(known.kernels->found, 1));
    counts.edges += known.edges.size();
  }
  return counts;
}

/// One network, everything that is measured of it in turn.
class Measurement {
 public:
  Measurement(const std::string& name, const Settings& settings)
      : settings_(settings),
        name_(name),
        subject_(make_subject(name, settings)),
        executor_(*subject_.network, {}),
        values_(formula_input(subject_.size, 1)),
        plan_(plan_pyramid(executor_.graph(), options_)) {
    for (const std::string& method : scorer_names()) scorers_[method] = make_scorer(method);
    if (!settings.python.empty()) {
      eager_ =
          std::make_unique<EagerPython>(settings.python, subject_.network->graph, subject_.size,
                                        EagerOptions{settings.threads, settings.cpu_time});
    }
  }

  void run() {
    Turns turns;
    for (int run = 0; run <= settings_.runs; ++run) {
      std::vector<double> turn = this->turn();
      if (run > 0) turns.add(std::move(turn));
    }
    fmt::print("{:14} {:9.1f}", name_, turns.time(kForward));
    for (const What what : {kGradient, kExcitation, kResponse, kPublished, kSeveral, kSelection}) {
      fmt::print(" {:9.3f}", turns.ratio(what, kForward));
    }
    fmt::print(" {:8} {:8}", counts_["gradient"].kernels, counts_["gradient"].edges);
    if (eager_) {
      // The published back-step is what the Python one computes.
      const double ours_ms = (turns.time(kPublished) - turns.time(kForward)) /
                             static_cast<double>(counts_["published"].kernels);
      fmt::print(" {:9.3f} {:9.0f}", turns.ratio(kGradient, kAutograd),
                 eager_->back_step() / ours_ms);
    }
    fmt::print("\n");
    std::fflush(stdout);
  }

 private:
  enum What {
    kForward,
    kGradient,
    kExcitation,
    kResponse,
    kPublished,
    kSeveral,
    kSelection,
    kAutograd
  };

  TracedBatch batch(const Trace& trace, const PyramidRequest& request) const {
    return {executor_, *subject_.network, trace, bounds_, std::span(&request, 1), {}};
  }

  /// A forward pass that keeps what a scorer reads, and its scores for some classes.
  double pyramid(const std::string& method, int targets) {
    const Scorer* scorer = scorers_.at(method).get();
    PyramidRequest request{options_, plan_};
    request.options.method = method;
    if (method == "published") request.options.threshold = 0.6;  // the paper's
    return milliseconds(settings_, [&] {
      const Trace trace =
          executor_.forward(input(), scorer->needs(executor_.graph(), plan_.wanted));
      for (int k = 0; k < targets; ++k) {
        const std::vector<Scores> scores =
            scorer->score(batch(trace, request), target(trace, 5 + k));
        if (k == 0) counts_[method] = count(plan_, scores[0].relevance[0]);
      }
    });
  }

  /// Scoring less the bare walk: selection and edges. A small difference of two large times, so
  /// both are taken several times.
  double selection() {
    const Scorer* scorer = scorers_.at("gradient").get();
    const Trace trace = executor_.forward(input(), scorer->needs(executor_.graph(), plan_.wanted));
    const Targets targets = target(trace, 5);
    const WalkPlan walk = plan_walk(executor_.graph(), plan_.wanted);
    const PyramidRequest request{options_, plan_};
    std::vector<double> differences;
    for (int i = 0; i < 3; ++i) {
      const double bare = milliseconds(settings_, [&] {
        walk_gradient(executor_, trace, targets.weights, walk, [](NodeId, const NodeGradient&) {});
      });
      const double whole =
          milliseconds(settings_, [&] { scorer->score(batch(trace, request), targets); });
      differences.push_back(whole - bare);
    }
    return median(differences);
  }

  std::vector<double> turn() {
    std::vector<double> times;
    times.push_back(milliseconds(settings_, [&] { executor_.forward(input(), true); }));
    for (const std::string& method : scorer_names()) {
      times.push_back(pyramid(method, 1));
    }
    times.push_back(pyramid("gradient", kTargets));
    times.push_back(selection());
    if (eager_) times.push_back(eager_->backward());
    return times;
  }

  at::Tensor input() {
    return at::from_blob(values_.data(),
                         {1, 3, subject_.size[0], subject_.size[1], subject_.size[2]});
  }

  static Targets target(const Trace& trace, int class_index) {
    at::Tensor weights = at::zeros_like(trace.logits);
    weights[0][class_index].fill_(1);
    return {weights, {class_index}};
  }

  const Settings& settings_;
  const std::string name_;
  const Subject subject_;
  const Executor executor_;
  std::vector<float> values_;
  std::unique_ptr<EagerPython> eager_;
  const ExplainOptions options_{.depth = 0, .tubes = TubeKind::kNone};
  const PyramidPlan plan_;
  const BoundedInput bounds_{InputBounds{{-1, -1, -1}, {1, 1, 1}}};
  std::map<std::string, std::unique_ptr<Scorer>> scorers_;
  std::map<std::string, Counts> counts_;  ///< by method
};

}  // namespace

void pyramid(const Settings& settings) {
  at::set_num_threads(settings.threads);
  fmt::print(
      "Ratios to our own forward: whole pyramids (forward included) by each scorer; {} targets by\n"
      "gradient; selection and edges alone. Kernels and edges found by gradient. Then gradient to\n"
      "PyTorch's forward and autograd of all activations, and how many times faster a kernel is\n"
      "visited by the published formula than one by one in Python.\n"
      "{} threads, medians of {}\n",
      kTargets, settings.threads, settings.runs);
  fmt::print("{:14} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9}\n", "network",
             "fwd ms", "gradient", "excitat.", "response", "published", "targets", "selection",
             "kernels", "edges", "autograd", "python x");
  for (const std::string& name : settings.networks) Measurement(name, settings).run();
}

}  // namespace cfp::benchmark
