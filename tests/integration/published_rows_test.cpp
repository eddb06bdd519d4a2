// Every row of the real annotation files, beside what parsers written in Python make of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/integration/program.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

TEST(PublishedRows, AreThoseThatAnotherParserReads) {
  CFP_SKIP_WITHOUT(test_data() / "annotations");
  const std::string python = python_with("csv", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "csv");
  const TemporaryFolder folder;
  const CommandResult rows = run_command(fmt::format(
      "{} '{}/tests/integration/published_rows.py' --cfp '{}' --data '{}' --out '{}'", python,
      CFP_SOURCE_DIR, CFP_PROGRAM, (test_data() / "annotations").string(), folder.path().string()));
  EXPECT_EQ(rows.exit_code, 0) << rows.output;
}

}  // namespace
}  // namespace cfp::test
