#include "datasets/csv.h"

#include <gmock/gmock.h>

#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::message_of;
using test::TemporaryFolder;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

class Csv : public testing::Test {
 protected:
  std::vector<std::vector<std::string>> records(std::string_view bytes, char separator = ',') {
    CsvReader reader(write_file(folder_ / "a.csv", bytes), separator);
    std::vector<std::vector<std::string>> all;
    for (std::vector<std::string> fields; reader.next(fields);) all.push_back(fields);
    return all;
  }
  std::string refusal(std::string_view bytes) {
    return message_of<ConfigError>([&] { records(bytes); });
  }

  TemporaryFolder folder_;
};

TEST_F(Csv, ReadsLinesOfEveryEndWithoutMarkAndWithoutLastEnd) {
  LineReader lines(write_file(folder_ / "a.txt", "\xEF\xBB\xBFone\r\ntwo\n\nfour \r\nlast"));
  std::vector<std::string> all;
  for (std::string line; lines.next(line);) all.push_back(line);
  EXPECT_THAT(all, ElementsAre("one", "two", "", "four ", "last"));
  EXPECT_EQ(lines.line_number(), 5);
}

TEST_F(Csv, SplitsRecordsAsRfc4180Says) {
  EXPECT_THAT(records("a,b,c\r\n1,,3\r\n"),
              ElementsAre(ElementsAre("a", "b", "c"), ElementsAre("1", "", "3")));
  EXPECT_THAT(records("\"a,b\",\"say \"\"hi\"\"\",\"\"\n"),
              ElementsAre(ElementsAre("a,b", "say \"hi\"", "")));
  EXPECT_THAT(records("\"two\nlines\",x\n\"two\r\nlines\",y"),
              ElementsAre(ElementsAre("two\nlines", "x"), ElementsAre("two\r\nlines", "y")));
  EXPECT_THAT(records("a,\n,\n"), ElementsAre(ElementsAre("a", ""), ElementsAre("", "")));
  EXPECT_THAT(records("\n\r\na\n\n"), ElementsAre(ElementsAre("a")));
  EXPECT_THAT(records("a;b,c\n", ';'), ElementsAre(ElementsAre("a", "b,c")));
  EXPECT_THAT(records(""), ElementsAre());
}

TEST_F(Csv, RefusesWhatIsNoCsvAndSaysWhere) {
  EXPECT_THAT(refusal("a,b\n1,\"open\nand\nso on"), HasSubstr("a.csv:2: a quote that opens here"));
  EXPECT_THAT(refusal("a\n\"x\"y,2\n"),
              HasSubstr("a.csv:2: text follows the closing quote of field 1"));
  EXPECT_THAT(refusal("a\nx\"y\n"), HasSubstr("a.csv:2: a quote stands inside a field"));
  EXPECT_THAT(refusal(std::string_view("a\nb\0c\n", 6)), HasSubstr("a.csv:2: holds a NUL byte"));
}

TEST_F(Csv, BoundsWhatAHostileFileCanMakeItRemember) {
  EXPECT_THAT(refusal(std::string(LineReader::kMaxLineBytes + 1, 'x')), HasSubstr("longer than"));
  EXPECT_THAT(refusal(std::string(CsvReader::kMaxFields, ',')), HasSubstr("more than 4096 fields"));
  std::string open_quote = "\"";
  for (int i = 0; i < 3000; ++i) open_quote += std::string(1000, 'x') + "\n";
  EXPECT_THAT(refusal(open_quote), HasSubstr("a.csv:1: a quoted field is too long"));
}

TEST_F(Csv, NamesAFileThatCannotBeRead) {
  const auto open = [](const std::string& path) { return [path] { LineReader lines(path); }; };
  EXPECT_THAT(message_of<ConfigError>(open(folder_ / "none.csv")),
              HasSubstr("none.csv: no such file"));
  EXPECT_THAT(message_of<ConfigError>(open(folder_.path())), HasSubstr("a folder or a device"));
}

TEST_F(Csv, FindsColumnsByName) {
  CsvTable table(write_file(folder_ / "a.csv", "label, time_start ,id\nfly,417.0,x\n"));
  ASSERT_TRUE(table.next());
  EXPECT_EQ(table.at("id"), "x");
  EXPECT_EQ(table.at("time_start"), "417.0");
  EXPECT_EQ(table.get("is_cc"), "");
  EXPECT_FALSE(table.has("is_cc"));
  EXPECT_THAT(message_of<ConfigError>([&] { table.at("split"); }),
              HasSubstr("no column is called 'split'; there are: label, time_start, id"));
  EXPECT_FALSE(table.next());
}

TEST_F(Csv, RefusesTablesWithoutRightShape) {
  const auto read = [&](std::string_view bytes) {
    return message_of<ConfigError>([&] {
      CsvTable table(write_file(folder_ / "a.csv", bytes));
      while (table.next()) {
      }
    });
  };
  EXPECT_THAT(read(""), HasSubstr("a header of column names is needed"));
  EXPECT_THAT(read("a,b,a\n"), HasSubstr("a.csv:1: two columns are called 'a'"));
  EXPECT_THAT(read("a,b\n1,2\n1\n"), HasSubstr("a.csv:3: 1 fields, but the header has 2 columns"));
  EXPECT_THAT(read("a,b\n1,2,3\n"), HasSubstr("a.csv:2: 3 fields"));
}

TEST(CsvField, QuotesWhatNeedsIt) {
  EXPECT_EQ(csv_field("plain name.mp4"), "plain name.mp4");
  EXPECT_EQ(csv_field(""), "");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(csv_field(" x"), "\" x\"");
  EXPECT_EQ(csv_field("x\ny"), "\"x\ny\"");
}

TEST(ParseNumbers, TakesWholeTextsOnly) {
  EXPECT_EQ(parse_integer("-12"), -12);
  EXPECT_EQ(parse_integer("+3"), 3);
  EXPECT_EQ(parse_integer("3.0"), std::nullopt);
  EXPECT_EQ(parse_integer(""), std::nullopt);
  EXPECT_EQ(parse_integer("99999999999999999999"), std::nullopt);
  EXPECT_EQ(parse_number("417.25"), 417.25);
  EXPECT_EQ(parse_number("1e3"), 1000);
  EXPECT_EQ(parse_number("inf"), std::nullopt);
  EXPECT_EQ(parse_number("nan"), std::nullopt);
  EXPECT_EQ(parse_number("1,5"), std::nullopt);
  EXPECT_EQ(parse_number("1.5s"), std::nullopt);
  EXPECT_EQ(parse_number("+-1"), std::nullopt);
}

}  // namespace
}  // namespace cfp
