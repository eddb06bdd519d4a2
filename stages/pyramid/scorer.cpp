#include "stages/pyramid/scorer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"
#include "stages/pyramid/scorers.h"

namespace cfp {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Scorer> (*make)();
};

constexpr Entry kScorers[] = {{"gradient", make_gradient_scorer},
                              {"excitation", make_excitation_scorer},
                              {"response", make_response_scorer},
                              {"published", make_published_scorer}};

}  // namespace

std::unique_ptr<Scorer> make_scorer(std::string_view name) {
  for (const Entry& entry : kScorers) {
    if (entry.name == name) return entry.make();
  }
  throw ConfigError(fmt::format("explain.method: no scorer is called '{}'; there are: {}", name,
                                fmt::join(scorer_names(), ", ")));
}

std::vector<std::string> scorer_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kScorers) names.emplace_back(entry.name);
  return names;
}

}  // namespace cfp
