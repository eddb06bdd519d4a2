#include "datasets/class_names.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::message_of;
using test::TemporaryFolder;
using test::write_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(NormaliseClassName, MakesTheSpellingsOfKineticsListsEqual) {
  EXPECT_EQ(normalise_class_name("air_drumming"), "air drumming");
  EXPECT_EQ(normalise_class_name("\"Air  Drumming\""), "air drumming");
  EXPECT_EQ(normalise_class_name(" passing_American football (in game)\r"),
            "passing american football (in game)");
  EXPECT_EQ(normalise_class_name("massaging person's head"), "massaging person's head");
  EXPECT_EQ(normalise_class_name(""), "");
  EXPECT_EQ(normalise_class_name("_ _"), "");
  EXPECT_EQ(normalise_class_name("Caf\xC3\x89"), "caf\xC3\x89") << "bytes beyond ASCII stay";
}

TEST(ReadClassList, KeepsTheOrderOfTheFile) {
  const TemporaryFolder folder;
  const auto file =
      write_file(folder / "names.txt", "slicing onion\r\njetskiing\r\n cabinet \r\n\r\n");
  EXPECT_THAT(read_class_list(file), ElementsAre("slicing onion", "jetskiing", "cabinet"));
}

TEST(ReadClassList, ReadsTheFormsThatAreAround) {
  const TemporaryFolder folder;
  const auto read = [&](std::string_view bytes) {
    return read_class_list(write_file(folder / "names.txt", bytes));
  };
  EXPECT_THAT(read("\xEF\xBB\xBF"
                   "b\r\na\r\n"),
              ElementsAre("b", "a"));
  EXPECT_THAT(read("1 b\n0 a\n"), ElementsAre("a", "b"));
  EXPECT_THAT(read("1 ApplyEyeMakeup\r\n2 Archery\r\n"), ElementsAre("ApplyEyeMakeup", "Archery"));
  EXPECT_THAT(read("Inspect/Read recipe 1\nOpen fridge 2\n"),
              ElementsAre("Inspect/Read recipe", "Open fridge"));
  EXPECT_THAT(read("id,name\n0,\"abseiling\"\n1,air drumming\n"),
              ElementsAre("abseiling", "air drumming"));
  EXPECT_THAT(read("id,key,instances\n1,put,\"['put', 'pose']\"\n0,take,['take']\n"),
              ElementsAre("take", "put"));
  EXPECT_THAT(read("3 point turn\nswim\n"), ElementsAre("3 point turn", "swim"));
  EXPECT_THAT(read("class 0\nclass 1\n"), ElementsAre("class 0", "class 1"));
  EXPECT_THAT(read("5 a\n9 b\n"), ElementsAre("5 a", "9 b")) << "no count: names";
}

TEST(ReadClassList, RefusesWhatLeavesALabelUnclear) {
  const TemporaryFolder folder;
  const auto refusal = [&](std::string_view bytes) {
    return message_of<ConfigError>([&] { read_class_list(write_file(folder / "n.txt", bytes)); });
  };
  EXPECT_THAT(refusal("a\n\nb\n"), HasSubstr("n.txt:2: is empty, between names"));
  EXPECT_THAT(refusal("a b\nc\nA_b\n"), HasSubstr("n.txt:3: 'A_b' is the same name as line 1"));
  EXPECT_THAT(refusal("\n\n"), HasSubstr("holds no class names"));
  EXPECT_THAT(refusal("id,key\n0,a\n2,b\n"), HasSubstr("class 1 is missing"));
  EXPECT_THAT(refusal("id,key\n0,a\n0,b\n"), HasSubstr("n.txt:3: class 0 stands here twice"));
  EXPECT_THAT(refusal("id,key\n0,a\n1,A\n"), HasSubstr("are the same name"));
  EXPECT_THAT(refusal("id,key\n99999999,a\n"), HasSubstr("0 to 999999 are allowed"));
}

TEST(JoinClassNames, FindsEachNameWhateverItsSpelling) {
  EXPECT_THAT(
      join_class_names({"ride_bike", "Abseiling"}, {"abseiling", "air drumming", "ride bike"},
                       "classes of the data set"),
      ElementsAre(2, 0));
}

TEST(JoinClassNames, ListsTheNamesThatHaveNoCounterpart) {
  const std::string message = message_of<ConfigError>([] {
    join_class_names({"abseiling", "air druming", "xyz"}, {"abseiling", "air drumming"}, "folders");
  });
  EXPECT_THAT(message,
              AllOf(HasSubstr("folders: 2 of 3 have no counterpart among the 2 known classes"),
                    HasSubstr("'air druming' (did you mean 'air drumming'?), 'xyz'")));
}

TEST(JoinClassNames, ListsEachOfHundredsOfNames) {
  const auto message = [](int strangers) {
    std::vector<std::string> wanted;
    for (int i = 0; i < strangers; ++i) wanted.push_back(fmt::format("stranger {}", i));
    return message_of<ConfigError>([&] { join_class_names(wanted, {"abseiling"}, "folders"); });
  };
  EXPECT_THAT(message(400), testing::EndsWith("'stranger 398', 'stranger 399'"));
  EXPECT_THAT(message(502), testing::AllOf(HasSubstr("502 of 502 have no counterpart"),
                                           testing::EndsWith("'stranger 499' and 2 more")));
}

TEST(JoinClassNames, RefusesNamesThatAreOneAfterNormalising) {
  EXPECT_THAT(message_of<ConfigError>([] {
                join_class_names({"a"}, {"a", "A"}, "folders");
              }),
              HasSubstr("'a' (0) and 'A' (1) are the same name"));
  EXPECT_THAT(message_of<ConfigError>([] {
                join_class_names({"a_b", "a b"}, {"a b"}, "folders");
              }),
              HasSubstr("folders: 'a_b' (0) and 'a b' (1) are the same name"));
}

}  // namespace
}  // namespace cfp
