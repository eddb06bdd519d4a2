#include "tests/benchmark/explain_benchmark.h"

#include <algorithm>
#include <memory>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include "stages/network/executor.h"
#include "stages/network/random_weights.h"
#include "stages/pyramid/explainer.h"
#include "tests/benchmark/eager_python.h"
#include "tests/benchmark/measure.h"

namespace cfp::benchmark {

void forward(const Settings& settings) {
  at::set_num_threads(settings.threads);
  fmt::print("{:14} {:>12} {:>12} {:>8}   ({} threads, medians of {})\n", "network", "eager ms",
             "cfp ms", "ratio", settings.threads, settings.runs);
  for (const std::string& name : settings.networks) {
    const Subject subject = make_subject(name, settings);
    EagerPython eager(settings.python, subject.network->graph, subject.size,
                      {settings.threads, settings.cpu_time});
    const Executor executor(*subject.network, {});
    std::vector<float> values = formula_input(subject.size, 1);
    const at::Tensor input =
        at::from_blob(values.data(), {1, 3, subject.size[0], subject.size[1], subject.size[2]});
    Turns turns;
    for (int run = 0; run <= settings.runs; ++run) {
      const double theirs = eager.forward();
      const double ours = milliseconds(settings, [&] { executor.forward(input, true); });
      if (run > 0) turns.add({theirs, ours});
    }
    fmt::print("{:14} {:12.1f} {:12.1f} {:8.3f}\n", name, turns.time(0), turns.time(1),
               turns.ratio(1, 0));
    std::fflush(stdout);
  }
}

void explain(const Settings& settings) {
  at::set_num_threads(settings.threads);
  struct Variant {
    const char* name;
    int depth;
    bool edges;
    TubeKind tubes;
  };
  const std::vector<Variant> variants{{"depth 3", 3, true, TubeKind::kExcitation},
                                      {"all, bare", 0, false, TubeKind::kNone},
                                      {"all, no tubes", 0, true, TubeKind::kNone},
                                      {"all, tubes", 0, true, TubeKind::kExcitation}};
  fmt::print("{:14} {:>12}", "network", "forward ms");
  for (const Variant& v : variants) fmt::print(" {:>14}", v.name);
  fmt::print(" {:>9} {:>9}   (ratios to forward; {} threads)\n", "kernels", "edges",
             settings.threads);
  for (const std::string& name : settings.networks) {
    const Subject subject = make_subject(name, settings);
    const Clip clip = make_clip(subject.size);
    const Executor executor(*subject.network, {});
    std::vector<float> values = formula_input(subject.size, 1);
    const at::Tensor input =
        at::from_blob(values.data(), {1, 3, subject.size[0], subject.size[1], subject.size[2]});
    std::vector<Explainer> explainers;
    for (const Variant& v : variants) {
      explainers.emplace_back(subject.network, subject.preprocess,
                              ExplainOptions{.depth = v.depth, .edges = v.edges, .tubes = v.tubes},
                              DeviceOptions{.threads = settings.threads});
    }
    Turns turns;
    std::size_t kernels = 0, edges = 0;
    for (int run = 0; run <= settings.runs; ++run) {
      std::vector<double> turn{milliseconds(settings, [&] { executor.forward(input, true); })};
      for (Explainer& explainer : explainers) {
        std::vector<ExplainOutcome> outcomes;
        turn.push_back(
            milliseconds(settings, [&] { outcomes = explainer.explain(std::span(&clip, 1)); }));
        kernels = edges = 0;
        for (const PyramidLayer& layer :
             std::get<ClipResult>(outcomes.front()).pyramids.front().layers) {
          kernels += static_cast<std::size_t>(std::ranges::count(layer.kernels.found, 1));
          edges += layer.edges.size();
        }
      }
      if (run > 0) turns.add(turn);
    }
    fmt::print("{:14} {:12.1f}", name, turns.time(0));
    for (std::size_t v = 1; v <= variants.size(); ++v) fmt::print(" {:14.3f}", turns.ratio(v, 0));
    fmt::print(" {:9} {:9}\n", kernels, edges);
    std::fflush(stdout);
  }
}

void profile(const Settings& settings) {
  at::set_num_threads(settings.threads);
  for (const std::string& name : settings.networks) {
    const Subject subject = make_subject(name, settings);
    const Executor executor(*subject.network, {});
    const NetworkGraph& graph = executor.graph();
    const std::vector<TensorShape> shapes = infer_shapes(graph, subject.size);
    std::vector<float> values = formula_input(subject.size, 1);
    const at::Tensor input =
        at::from_blob(values.data(), {1, 3, subject.size[0], subject.size[1], subject.size[2]});
    const Trace trace = executor.forward(input, true);
    struct Row {
      double ms = 0, backward_ms = 0, gflop = 0;
      NodeId id = 0;
    };
    std::vector<Row> rows;
    for (NodeId id = 1; id < graph.size(); ++id) {
      std::vector<double> times, backward;
      for (int run = 0; run <= settings.runs; ++run) {
        times.push_back(milliseconds(settings, [&] { executor.run_node(id, trace.values); }));
        const at::Tensor& y = trace.values[static_cast<std::size_t>(id)];
        backward.push_back(
            milliseconds(settings, [&] { executor.input_gradient(id, 0, y, trace.values, {}); }));
      }
      Row row{median(times), median(backward), 0, id};
      if (is_layer(graph.node(id))) {
        const at::Tensor& weight = executor.layer(id).weight();
        row.gflop = 2e-9 * static_cast<double>(weight.numel()) *
                    static_cast<double>(shapes[static_cast<std::size_t>(id)].positions());
      }
      rows.push_back(row);
    }
    std::ranges::sort(rows, std::greater<>(), &Row::ms);
    double total = 0, total_backward = 0;
    for (const Row& row : rows) {
      total += row.ms;
      total_backward += row.backward_ms;
    }
    fmt::print("{}: forward {:.1f} ms, backward {:.1f} ms\n", name, total, total_backward);
    for (std::size_t i = 0; i < std::min<std::size_t>(rows.size(), 30); ++i) {
      const Node& node = graph.node(rows[i].id);
      const TensorShape& shape = shapes[static_cast<std::size_t>(rows[i].id)];
      fmt::print(
          "  {:32} {:12} {:5} x {:2}x{:3}x{:3} {:8.2f} ms {:6.1f} GFLOP/s  back {:8.2f} ms\n",
          node.name, op_name(node.op), shape.channels, shape.size[0], shape.size[1], shape.size[2],
          rows[i].ms, 1e3 * rows[i].gflop / rows[i].ms, rows[i].backward_ms);
    }
  }
}

}  // namespace cfp::benchmark
