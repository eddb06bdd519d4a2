#include "stages/network/checkpoint/pickle.h"

#include <chrono>

#include <gtest/gtest.h>

#include "tests/unit/checkpoint/support.h"

namespace cfp::test {
using namespace std::string_literals;
namespace {

/// Text in the result points into `bytes`.
Pickle read(const Bytes& bytes) { return read_pickle(view_of(bytes), "file.pth"); }

TEST(Pickle, ReadsNumbersOfAllSizes) {
  // 1, 258, -2, 2^40 as LONG1, -1 as LONG1, 1.5 as the format's one big-endian number.
  const Bytes bytes =
      pickle_of("(K\x01M\x02\x01J\xfe\xff\xff\xff\x8a\x06\0\0\0\0\0\x01\x8a\x01\xffG\x3f\xf8"s +
                Bytes(6, '\0') + "t");
  const Pickle pickle = read(bytes);
  const auto* tuple = pickle.as<PickleSequence>(pickle.root);
  ASSERT_NE(tuple, nullptr);
  EXPECT_TRUE(tuple->tuple);
  std::vector<std::int64_t> integers;
  for (std::size_t i = 0; i < 5; ++i) integers.push_back(*pickle.as<std::int64_t>(tuple->items[i]));
  EXPECT_THAT(integers, testing::ElementsAre(1, 258, -2, std::int64_t{1} << 40, -1));
  EXPECT_EQ(*pickle.as<double>(tuple->items[5]), 1.5);
  EXPECT_EQ(pickle.bytes_used, bytes.size());
}

TEST(Pickle, SharesWhatTheMemoNames) {
  // [a] put into slot 0, then twice into a tuple: one list, two references.
  const Bytes bytes = pickle_of("]" + pickled_text("a") + "aq\0h\0\x86"s);
  const Pickle pickle = read(bytes);
  const auto* tuple = pickle.as<PickleSequence>(pickle.root);
  ASSERT_NE(tuple, nullptr);
  EXPECT_EQ(tuple->items[0], tuple->items[1]);
  EXPECT_EQ(*pickle.as<std::string_view>(pickle.as<PickleSequence>(tuple->items[0])->items[0]),
            "a");
}

TEST(Pickle, ReadsProtocol4) {
  // PROTO 4, FRAME, a dict with a text stored by MEMOIZE, a global taken from the stack.
  const Bytes body =
      "}\x94(\x8c\x01"
      "k\x94\x8c\x0b"
      "collections\x94\x8c\x0b"
      "OrderedDict\x94\x93)Ru.";
  const Bytes bytes = "\x80\x04\x95" + little(std::uint64_t{body.size()}) + body;
  const Pickle pickle = read(bytes);
  const auto* dict = pickle.as<PickleDict>(pickle.root);
  ASSERT_NE(dict, nullptr);
  ASSERT_TRUE(pickle.find(*dict, "k").has_value());
  EXPECT_NE(pickle.as<PickleDict>(*pickle.find(*dict, "k")), nullptr);
}

TEST(Pickle, ReadsAnOrderedDictOfPython2) {
  // collections.OrderedDict([["a", 1], ["b", 2]])
  const Bytes bytes = pickle_of(pickled_global("collections", "OrderedDict") +
                                "](](U\x01"
                                "aK\x01"
                                "e](U\x01"
                                "bK\x02"
                                "ee\x85R");
  const Pickle pickle = read(bytes);
  const auto* dict = pickle.as<PickleDict>(pickle.root);
  ASSERT_NE(dict, nullptr);
  EXPECT_EQ(*pickle.as<std::int64_t>(*pickle.find(*dict, "b")), 2);
}

TEST(Pickle, ReadsATensorOfAnOldStorageView) {
  // The sixth part of a legacy id: this storage is elements 2.. of its root.
  const Bytes storage = "(" + pickled_text("storage") +
                        pickled_global("torch.cuda", "HalfStorage") + pickled_text("5") +
                        pickled_text("cuda:0") + "K\x09(" + pickled_text("6") + "K\x02K\x04ttQ";
  const Bytes bytes = pickle_of(pickled_global("torch._utils", "_rebuild_tensor") + "(" + storage +
                                "K\x01K\x03\x85K\x01\x85tR"s);
  const Pickle pickle = read(bytes);
  const auto* tensor = pickle.as<PickleTensor>(pickle.root);
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->offset, 1);
  const auto* seen = pickle.as<PickleStorage>(tensor->storage);
  EXPECT_EQ(seen->key, "5");
  EXPECT_EQ(seen->dtype, DType::kFloat16);
  EXPECT_EQ(seen->elements, 9);
  EXPECT_EQ(seen->view_offset, 2);
}

TEST(Pickle, NamesAForbiddenGlobal) {
  CFP_EXPECT_REFUSED(
      read(pickle_of(pickled_global("os", "system") + pickled_text("true") + "\x85R")),
      "'os system'");
  CFP_EXPECT_REFUSED(read("\x80\x04\x8c\x02"
                          "os\x8c\x06"
                          "system\x93."),
                     "'os system'");
  // The name is shown, not interpreted.
  CFP_EXPECT_REFUSED(read(pickle_of(pickled_global("a\x1b[2J", "b"))), "a\\x1b[2J");
  CFP_EXPECT_REFUSED(read(pickle_of(pickled_global("torch.cuda", "Storage"))),
                     "torch.cuda Storage");
}

TEST(Pickle, CallsNothingButTheFunctionsOfTheAllowList) {
  CFP_EXPECT_REFUSED(read(pickle_of(pickled_text("x") + ")R")), "function of the allow-list");
  CFP_EXPECT_REFUSED(read(pickle_of(pickled_global("torch", "FloatStorage") + "K\x05\x85R")),
                     "rebuilds no tensor");
  CFP_EXPECT_REFUSED(read(pickle_of(pickled_global("torch._utils", "_rebuild_tensor_v2") + ")R")),
                     "0 arguments");
  // NEWOBJ, INST, OBJ, EXT1, PERSID, STRING, INT: other ways to build objects, or of protocol 0.
  for (const char opcode : {'\x81', 'i', 'o', '\x82', 'P', 'S', 'I'}) {
    CFP_EXPECT_REFUSED(read(pickle_of(Bytes(")") + opcode)), "has no place in a checkpoint");
  }
}

TEST(Pickle, RefusesBrokenPrograms) {
  CFP_EXPECT_REFUSED(read(""), "truncated");
  CFP_EXPECT_REFUSED(read("\x80\x02"), "truncated");
  CFP_EXPECT_REFUSED(read("\x80\x09N."), "protocol 9");
  CFP_EXPECT_REFUSED(read(pickle_of("")), "stack runs empty");
  CFP_EXPECT_REFUSED(read(pickle_of("NN")), "left over");
  CFP_EXPECT_REFUSED(read(pickle_of("(N")), "left over");
  CFP_EXPECT_REFUSED(read(pickle_of("t")), "did not open");
  CFP_EXPECT_REFUSED(read(pickle_of("N(a")), "stack runs empty");  // may not reach below the mark
  CFP_EXPECT_REFUSED(read(pickle_of("Na")), "stack runs empty");
  CFP_EXPECT_REFUSED(read(pickle_of("NNa")), "a list expected");
  CFP_EXPECT_REFUSED(read(pickle_of(")Na")), "appends to a tuple");
  CFP_EXPECT_REFUSED(read(pickle_of("}(Nu")), "without a value");
  CFP_EXPECT_REFUSED(read(pickle_of("NNb")), "has none");
  CFP_EXPECT_REFUSED(read(pickle_of("h\x05")), "memo slot 5 was never filled");
  CFP_EXPECT_REFUSED(read(pickle_of("Nr\xff\xff\xff\xff")), "out of range");
  CFP_EXPECT_REFUSED(read(pickle_of("X\xff\xff\xff\x7f")), "2147483647 bytes");
  CFP_EXPECT_REFUSED(read("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN."s), "a frame of");
}

TEST(Pickle, RefusesDeepNesting) {
  CFP_EXPECT_REFUSED(read(pickle_of(Bytes(100'000, ']') + Bytes(99'999, 'a'))), "deeper than 200");
  CFP_EXPECT_REFUSED(read(pickle_of(Bytes(100'000, '(') + Bytes(100'000, 't'))), "deeper than 200");
  EXPECT_NO_THROW(read(pickle_of(Bytes(200, ']') + Bytes(199, 'a'))));
}

/// Each level holds the one before twice: 2^150 leaves for whoever walks it.
TEST(Pickle, TakesADoublingListForWhatItIs) {
  Bytes body = "]q\0"s;
  for (int level = 0; level < 150; ++level) body += "h\0h\0\x86q\0"s;
  const auto before = std::chrono::steady_clock::now();
  const Pickle pickle = read(pickle_of("(" + body + "t"));
  EXPECT_LT(pickle.values.size(), 200U);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

/// A list of many pairs, made into a dictionary again and again for five bytes each time.
TEST(Pickle, RefusesToRepeatItself) {
  Bytes body = "(" + pickled_global("collections", "OrderedDict") + "q\0]("s;
  for (int i = 0; i < 1000; ++i) body += "NN\x86";
  body += "e\x85q\x01";
  for (int i = 0; i < 100'000; ++i) body += "h\0h\x01R"s;
  CFP_EXPECT_REFUSED(read(pickle_of(body + "t")), "repeats itself");
}

TEST(Pickle, RefusesATupleOfManyAsArguments) {
  const Bytes many = "(" + Bytes(100'000, 'N') + "tq\0"s;
  CFP_EXPECT_REFUSED(read(pickle_of(many + pickled_global("numpy", "dtype") + "h\0R"s)),
                     "100000 items");
  CFP_EXPECT_REFUSED(read(pickle_of(many + "Q")), "100000 items");
}

TEST(Pickle, RefusesMoreValuesThanACheckpointHas) {
  CFP_EXPECT_REFUSED(read(pickle_of("(" + Bytes(kMaxPickleValues + 1, ']') + "t")), "values");
}

}  // namespace
}  // namespace cfp::test
