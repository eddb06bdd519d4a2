#include "stages/network/checkpoint/zip_archive.h"

#include <gtest/gtest.h>

#include "tests/unit/checkpoint/support.h"

namespace cfp::test {
namespace {

ZipArchive open(const Bytes& bytes) { return ZipArchive(view_of(bytes), "file.pth"); }

TEST(Crc32, HasTheCheckValueOfTheStandard) {
  const Bytes text = "123456789";
  EXPECT_EQ(crc32(view_of(text)), 0xCBF43926U);
  EXPECT_EQ(crc32({}), 0U);
  // Nine bytes take one step of eight and one of one; a long run must agree with bytewise steps.
  EXPECT_EQ(crc32(view_of(Bytes(32, '\0'))), 0x190A55ADU);
}

TEST(ZipArchive, FindsStoredEntriesInPlace) {
  for (const bool zip64 : {false, true}) {
    const Bytes bytes = zip_of(
        {{.name = "b", .data = "second", .zip64 = zip64}, {.name = "a", .data = "first"}}, zip64);
    const ZipArchive archive = open(bytes);
    ASSERT_EQ(archive.entries().size(), 2U);
    EXPECT_EQ(archive.entries()[0].name, "b");
    EXPECT_EQ(as_text(archive.data("a")), "first");
    EXPECT_EQ(as_text(archive.data("b")), "second");
    EXPECT_EQ(reinterpret_cast<const char*>(archive.data("b").data()),
              bytes.data() + bytes.find("second"));
    EXPECT_EQ(archive.find("c"), nullptr);
    CFP_EXPECT_REFUSED(archive.data("c"), "no zip entry 'c'");
  }
}

TEST(ZipArchive, SearchesBehindAComment) {
  Bytes bytes = zip_of({{.name = "a", .data = "x"}});
  bytes[bytes.size() - 2] = 5;
  EXPECT_EQ(as_text(open(bytes + "hello").data("a")), "x");
}

TEST(ZipArchive, RefusesATruncatedFile) {
  const Bytes bytes = zip_of({{.name = "a", .data = "x"}});
  CFP_EXPECT_REFUSED(open(bytes.substr(0, bytes.size() - 1)), "truncated");
  CFP_EXPECT_REFUSED(open("PK\x03\x04"), "truncated");
  CFP_EXPECT_REFUSED(open(bytes.substr(3)), "");
}

TEST(ZipArchive, RefusesCompressedEntriesWhenTheyAreRead) {
  const Bytes bytes = zip_of({{.name = "a", .data = "x", .method = 8}, {.name = "b", .data = "y"}});
  const ZipArchive archive = open(bytes);
  CFP_EXPECT_REFUSED(archive.data("a"), "compressed (method 8)");
  EXPECT_EQ(as_text(archive.data("b")), "y");
}

TEST(ZipArchive, ComparesChecksums) {
  const auto with_crc = [](std::uint32_t crc) {
    return zip_of({{.name = "a", .data = "x", .crc = crc}});
  };
  const Bytes wrong = with_crc(5);
  CFP_EXPECT_REFUSED(open(wrong).data("a"), "checksum");
  const Bytes left_out = with_crc(0);
  EXPECT_EQ(as_text(open(left_out).data("a")), "x");
}

TEST(ZipArchive, RefusesArchivesThatContradictThemselves) {
  CFP_EXPECT_REFUSED(open(zip_of({{.name = "a", .data = "x"}, {.name = "a", .data = "y"}})),
                     "'a' twice");
  CFP_EXPECT_REFUSED(open(zip_of({{.name = "a", .data = "x", .local_name = "b"}})), "another name");
  CFP_EXPECT_REFUSED(open(zip_of({{.name = "a", .data = "x", .local_offset = 7}})),
                     "not where the directory says");
  CFP_EXPECT_REFUSED(open(zip_of({{.name = "a", .data = "x", .local_offset = 1U << 30}})),
                     "truncated");
  CFP_EXPECT_REFUSED(open(zip_of({{.name = "a", .data = "x", .flags = 1}})), "encrypted");
  // Two entries that are one: how a small archive pretends to hold a lot.
  CFP_EXPECT_REFUSED(
      open(zip_of({{.name = "a", .data = "x"},
                   {.name = "b", .data = "x", .local_offset = 0, .local_name = "a"}})),
      "another name");
  const Bytes inner = "PK\x03\x04" + Bytes(22, '\0') + little(std::uint16_t{1}) +
                      little(std::uint16_t{0}) + "b" + "y";
  const auto inside = static_cast<std::uint32_t>(30 + 1);
  CFP_EXPECT_REFUSED(open(zip_of({{.name = "a", .data = inner},
                                  {.name = "b", .data = "y", .local_offset = inside}})),
                     "overlaps");
}

TEST(ZipArchive, RefusesADirectoryThatClaimsTooMuch) {
  const Bytes bytes = zip_of({{.name = "a", .data = "x"}});
  const std::size_t end = bytes.rfind("PK\x05\x06");
  Bytes many = bytes;
  many[end + 10] = many[end + 11] = '\xff';
  CFP_EXPECT_REFUSED(open(many), "claims 65535 entries");
  Bytes far = bytes;
  far[end + 19] = '\x7f';
  CFP_EXPECT_REFUSED(open(far), "the zip directory should be");
  Bytes volume = bytes;
  volume[end + 4] = 1;
  CFP_EXPECT_REFUSED(open(volume), "several volumes");
}

}  // namespace
}  // namespace cfp::test
