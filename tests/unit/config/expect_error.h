// Asserting what a ConfigError says.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"

namespace cfp::test {

/// @return the message of the ConfigError that `action` throws; a failed test where it throws none
template <class Action>
std::string config_error_of(Action&& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no ConfigError was thrown";
  return "";
}

}  // namespace cfp::test
