#include "tests/benchmark/eager_python.h"

#include <stdexcept>

#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace cfp::benchmark {
namespace {

using nlohmann::json;

/// A network gets pixel * scale + offset, channel by channel.
json describe(const PythonClips& clips) {
  const PreprocessOptions& steps = clips.preprocess;
  json scale = json::array(), offset = json::array();
  for (std::size_t c = 0; c < 3; ++c) {
    scale.push_back((steps.range_max - steps.range_min) / 255 / steps.std[c]);
    offset.push_back((steps.range_min - steps.mean[c]) / steps.std[c]);
  }
  return {{"files", clips.files},
          {"frame_interval", clips.frame_interval},
          {"batch_size", clips.batch_size},
          {"workers", clips.workers},
          {"resize", steps.resize},
          {"keeps_aspect", steps.resize_mode == ResizeMode::kShortSide},
          {"crop", steps.crop},
          {"scale", scale},
          {"offset", offset}};
}

json describe(const NetworkGraph& graph, const Triple& size, const EagerOptions& options) {
  json nodes = json::array();
  const auto specs = tensor_specs(graph);
  for (const Node& node : graph.nodes()) {
    json out{{"name", node.name},
             {"op", op_name(node.op)},
             {"inputs", node.inputs},
             {"tensors", json::object()}};
    for (const TensorSpec& spec : specs) {
      if (spec.name.substr(0, spec.name.rfind('.')) == node.name) {
        out["tensors"][spec.name] = spec.shape;
      }
    }
    const auto window = [&](const auto& op) {
      out["kernel"] = op.kernel;
      out["stride"] = op.stride;
    };
    const auto padding = [&](const Padding& p) {
      out["pad_before"] = p.before;
      out["pad_after"] = p.after;
    };
    if (const auto* conv = std::get_if<Conv3d>(&node.op)) {
      window(*conv);
      padding(conv->padding);
      out["dilation"] = conv->dilation;
      out["groups"] = conv->groups;
    } else if (const auto* pool = std::get_if<MaxPool3d>(&node.op)) {
      window(*pool);
      padding(pool->padding);
      out["ceil_mode"] = pool->ceil_mode;
      out["zero_padding"] = pool->zero_padding;
    } else if (const auto* average = std::get_if<AvgPool3d>(&node.op)) {
      window(*average);
    } else if (const auto* norm = std::get_if<BatchNorm3d>(&node.op)) {
      out["eps"] = norm->eps;
    }
    nodes.push_back(std::move(out));
  }
  json setup{{"nodes", nodes},
             {"size", size},
             {"threads", options.threads},
             {"cpu_time", options.cpu_time}};
  if (options.clips) setup["clips"] = describe(*options.clips);
  return setup;
}

}  // namespace

EagerPython::EagerPython(const std::string& python, const NetworkGraph& graph, const Triple& size,
                         const EagerOptions& options) {
  int down[2], up[2];
  if (pipe(down) != 0 || pipe(up) != 0) throw std::runtime_error("no pipe to Python");
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("no process for Python");
  if (pid_ == 0) {
    dup2(down[0], STDIN_FILENO);
    dup2(up[1], STDOUT_FILENO);
    close(down[1]);
    close(up[0]);
    const std::string script = std::string(CFP_SOURCE_DIR) + "/tests/benchmark/eager_forward.py";
    execlp(python.c_str(), python.c_str(), script.c_str(), nullptr);
    _exit(127);
  }
  close(down[0]);
  close(up[1]);
  to_ = fdopen(down[1], "w");
  from_ = fdopen(up[0], "r");
  std::fprintf(to_, "%s\n", describe(graph, size, options).dump().c_str());
  std::fflush(to_);
  if (read_line() != "ready\n") throw std::runtime_error(python + " could not build the network");
}

EagerPython::~EagerPython() {
  std::fclose(to_);
  std::fclose(from_);
  waitpid(pid_, nullptr, 0);
}

std::string EagerPython::read_line() {
  char line[256];
  return std::fgets(line, sizeof line, from_) == nullptr ? std::string() : std::string(line);
}

double EagerPython::ask(const char* what) {
  std::fprintf(to_, "%s\n", what);
  std::fflush(to_);
  const std::string answer = read_line();
  if (answer.empty()) throw std::runtime_error("the Python process ended early");
  return std::stod(answer);
}

}  // namespace cfp::benchmark
