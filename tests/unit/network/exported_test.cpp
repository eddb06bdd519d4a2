// What an importer of exported networks refuses, and how it says so; layouts of axes by themselves.
//
// Whole networks against PyTorch: tests/golden/exported_test.cpp.
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "stages/network/exported/layout.h"
#include "stages/network/exported/load_exported.h"
#include "tests/support/exported_archive.h"

namespace cfp::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string read_file(const std::string& name) {
  std::ifstream file(CFP_SOURCE_DIR "/tests/fuzz/corpus/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ImportedNetwork import_bytes(const std::string& archive, int output = 0) {
  return import_program(parse_exported_program(
                            {reinterpret_cast<const std::uint8_t*>(archive.data()), archive.size()},
                            nullptr, "net.pt2"),
                        output);
}

/// The graph of the corpus with one text replaced by another.
std::string graph_with(const std::string& from, const std::string& to) {
  std::string graph = read_file("exported_graph/calls.json");
  const std::size_t at = graph.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? graph : graph.replace(at, from.size(), to);
}

std::string refusal_of(const std::string& graph) {
  try {
    import_bytes(archive_around(graph));
  } catch (const SystemError& error) {
    return error.what();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "was imported";
}

TEST(Exported, ImportsTheCorpus) {
  for (const char* name : {"exported_graph/calls.json", "exported_graph/decomposed.json"}) {
    const ImportedNetwork imported = import_bytes(archive_around(read_file(name)));
    EXPECT_EQ(imported.network.num_classes(), 8);
    EXPECT_EQ(imported.clip_size, (Triple{4, 4, 4}));
    EXPECT_THAT(imported.notes, testing::ElementsAre(HasSubstr("softmax")));
  }
  EXPECT_EQ(import_bytes(read_file("exported/tiny.pt2")).network.num_classes(), 2);
}

TEST(Exported, NamesNodeAndOperationThatAreNotKnown) {
  EXPECT_THAT(
      refusal_of(graph_with("torch.ops.aten.max_pool3d.default", "torch.ops.aten.sort.default")),
      AllOf(HasSubstr("'net.pt2': node 'max_pool3d' (aten.sort)"), HasSubstr("not supported")));
}

TEST(Exported, RefusesAFunctionOnTheWayToTheClassThatIsNotZeroAtZero) {
  EXPECT_THAT(
      refusal_of(graph_with("torch.ops.aten.silu.default", "torch.ops.aten.sigmoid.default")),
      AllOf(HasSubstr("node 'silu' (sigmoid)"), HasSubstr("can only make a gate")));
}

TEST(Exported, RefusesAProductOfWhichNeitherOperandIsTheGate) {
  // x * x
  EXPECT_THAT(
      refusal_of(graph_with("torch.ops.aten.silu.default\",\"inputs\":[",
                            "torch.ops.aten.mul.Tensor\",\"inputs\":[{\"name\":\"other\",\"arg\":"
                            "{\"as_tensor\":{\"name\":\"getitem\"}},\"kind\":1},")),
      AllOf(HasSubstr("(aten.mul)"), HasSubstr("which of its operands is the gate")));
}

TEST(Exported, RefusesSizesThatAreNotConstant) {
  EXPECT_THAT(refusal_of(graph_with(R"("sizes":[{"as_int":1})", R"("sizes":[{"as_expr":"s0"})")),
              HasSubstr("static shapes"));
}

TEST(Exported, RefusesOtherVersionsAndOtherFiles) {
  EXPECT_THAT(refusal_of(graph_with(R"("major":8)", R"("major":9)")), HasSubstr("version 9"));
  EXPECT_THAT(refusal_of("{"), HasSubstr("is no JSON"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("lacks"));
  EXPECT_THAT(refusal_of(graph_with("\"w8\"", "\"w99\"")), HasSubstr("no tensor 'w99'"));
}

TEST(Exported, NamesTheOutputsThatThereAre) {
  EXPECT_THROW(import_bytes(archive_around(read_file("exported_graph/calls.json")), 3),
               ConfigError);
}

TEST(Exported, RefusesEveryTruncationAndDamageAsAFile) {
  const std::string whole = read_file("exported/tiny.pt2");
  ASSERT_FALSE(whole.empty());
  int refused = 0;
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    EXPECT_THROW(import_bytes(whole.substr(0, length)), SystemError) << length;
  }
  for (std::size_t at = 0; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    try {
      import_bytes(damaged);  // a bit that nobody reads
    } catch (const SystemError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()) / 5) << "nearly everything has a checksum";
}

TEST(Exported, SurvivesDeepNesting) {
  std::string deep(1 << 18, '[');
  EXPECT_THAT(refusal_of(deep), HasSubstr("is no JSON"));
  deep += std::string(1 << 18, ']');
  EXPECT_THAT(refusal_of(deep), HasSubstr("lacks"));
}

// ---- layouts -----------------------------------------------------------------------------------

Layout clip_layout(std::int64_t channels) {
  return {{},
          whole_axis(AxisKind::kChannel, channels),
          whole_axis(AxisKind::kTime, 4),
          whole_axis(AxisKind::kHeight, 6),
          whole_axis(AxisKind::kWidth, 5)};
}

TEST(Layout, FollowsAChannelShuffle) {
  auto split = viewed(clip_layout(6), {1, 2, 3, 4, 6, 5});
  ASSERT_TRUE(split);
  std::swap((*split)[1], (*split)[2]);
  const auto merged = viewed(*split, {1, 6, 4, 6, 5});
  ASSERT_TRUE(merged);
  EXPECT_EQ(channel_order(*merged), (std::vector<int>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(with_ordered_channels(*merged), clip_layout(6));
}

TEST(Layout, JoinsWhatWasCut) {
  const auto cut = viewed(clip_layout(6), {6, 2, 2, 30});
  ASSERT_TRUE(cut);
  EXPECT_EQ(viewed(*cut, {1, 6, 4, 6, 5}), clip_layout(6));
  EXPECT_FALSE(viewed(clip_layout(6), {4, 180})) << "cuts the channels at no multiple";
}

TEST(Layout, KnowsWhereAChannelStands) {
  const auto split = viewed(clip_layout(6), {1, 2, 3, 4, 6, 5});
  ASSERT_TRUE(split);
  EXPECT_EQ(position_of_channel(*split, 1, 6), (std::vector<std::int64_t>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(position_of_channel(*split, 2, 6), (std::vector<std::int64_t>{0, 1, 2, 0, 1, 2}));
}

}  // namespace
}  // namespace cfp::test
