// The keys of each section; for the sources of the schema alone.
#pragma once

#include <vector>

#include "pipeline/config/schema.h"

namespace cfp {

using Keys = std::vector<KeySpec>;

Keys network_keys();
Keys explain_keys();
Keys runtime_keys();
Keys output_keys();

}  // namespace cfp
