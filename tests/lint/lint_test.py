#!/usr/bin/env python3
"""Tests of lint.py: each rule on a small tree that breaks it, and a tree that breaks none."""

import tempfile
import unittest
from pathlib import Path

import lint

TABLE = """# Architecture

## Rooms

| folder | what it is for | includes | libraries |
|---|---|---|---|
| `top` | the top | `low` | fmt |
| `low` | the ground | – | LibTorch (`t*.cpp`) |

## Where to find what

"""
INDEX = "`*.h`, `*.cpp`\n"
HEADER = "// What it is for.\n#pragma once\n"


class LintTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("docs/architecture.md", TABLE + INDEX)
        self.write("low/plain.h", HEADER)
        self.write("low/tensor.cpp", "\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def assert_found(self, beginning, part):
        """Exactly one finding, at the place and with the words given."""
        found = lint.check(self.root)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(beginning + ": "), found[0])
        self.assertIn(part, found[0])

    def test_accepts_a_tree_without_faults(self):
        self.write("top/a.cpp", '#include <vector>\n#include <fmt/format.h>\n'
                                '#include <unistd.h>\n#include "low/plain.h"\n')
        self.write("low/tensor.cpp", '#include <ATen/core/Tensor.h>\n#include "low/plain.h"\n')
        self.assertEqual(lint.check(self.root), [])

    def test_finds_an_include_against_the_arrows(self):
        self.write("top/b.h", HEADER)
        self.write("low/a.cpp", '#include <vector>\n#include "top/b.h"\n')
        self.assert_found("low/a.cpp:2", 'low may not include "top/b.h"')

    def test_finds_an_include_that_is_no_path_of_the_repository(self):
        self.write("low/a.cpp", '#include "plain.h"\n')
        self.assert_found("low/a.cpp:1", "is no path of this repository")

    def test_finds_a_library_in_a_room_that_has_it_not(self):
        self.write("low/a.cpp", "#include <fmt/format.h>\n")
        self.assert_found("low/a.cpp:1", "low may not include fmt")

    def test_finds_a_library_outside_the_files_it_is_kept_to(self):
        self.write("low/a.cpp", "#include <ATen/ATen.h>\n")
        self.assert_found("low/a.cpp:1", "only t*.cpp may include LibTorch")

    def test_finds_a_library_that_it_does_not_know(self):
        self.write("low/a.cpp", "#include <boost/any.hpp>\n")
        self.assert_found("low/a.cpp:1", "no library that lint.py knows")

    def test_finds_code_outside_the_rooms(self):
        self.write("elsewhere/a.cpp", "\n")
        self.assert_found("elsewhere/a.cpp:1", "lies in no room")

    def test_finds_a_header_without_a_guard(self):
        self.write("low/a.h", "// What it is for.\n")
        self.assert_found("low/a.h:1", "#pragma once")

    def test_finds_a_header_without_a_comment(self):
        self.write("low/a.h", "#pragma once\n")
        self.assert_found("low/a.h:1", "opens with a comment")

    def test_finds_faults_of_look(self):
        for text, beginning, part in [
                ("int a;\n\tint b;\n", "low/a.cpp:2", "a tab"),
                ("int a; \n", "low/a.cpp:1", "blanks at the end"),
                ("int a;", "low/a.cpp:1", "no newline"),
                ("int a;\n" * (lint.MAX_LINES + 1), f"low/a.cpp:{lint.MAX_LINES + 1}", "lines; "),
                ("// " + "TO" + "DO: more\n", "low/a.cpp:1", "work left undone"),
                ("// see /ro" + "ot/x\n", "low/a.cpp:1", "a path of one machine")]:
            with self.subTest(part):
                self.write("low/a.cpp", text)
                self.assert_found(beginning, part)

    def test_finds_a_page_that_names_what_is_not_there(self):
        self.write("docs/page.md", "[table](architecture.md#rooms), `low/plain.h`, `pl*.h`\n")
        self.assertEqual(lint.check(self.root), [])
        self.write("docs/page.md", "\n[more](gone.md)\n")
        self.assert_found("docs/page.md:2", "leads nowhere: gone.md")
        self.write("docs/page.md", "`low/gone.cpp`\n")
        self.assert_found("docs/page.md:1", "no file low/gone.cpp")

    def test_finds_a_file_that_the_list_of_files_leaves_out(self):
        self.write("low/plain.cpp", "\n")
        self.write("docs/architecture.md", TABLE + "`low/plain.h`, `tensor.cpp`\n")
        self.assertEqual(lint.check(self.root), [])
        self.write("docs/architecture.md", TABLE + "`plain.h`\n\n## More\n\n`tensor.cpp`\n")
        self.assert_found("low/tensor.cpp:1", "is not in the list of files")

    def test_refuses_a_table_that_names_an_unknown_room_or_library(self):
        for bad in ("| `more` | x | `nowhere` | fmt |\n", "| `more` | x | – | boost |\n"):
            with self.subTest(bad):
                self.write("docs/architecture.md", TABLE.replace("\n## Where", bad + "\n## Where"))
                with self.assertRaises(SystemExit):
                    lint.check(self.root)

    def test_lists_headers_without_libtorch_also_through_others(self):
        self.write("low/tensor.h", HEADER + "#include <ATen/core/Tensor.h>\n")
        self.write("low/through.h", HEADER + '#include "low/tensor.h"\n')
        self.assertEqual(lint.lone_headers(self.root), ["low/plain.h"])

    def test_lists_no_header_that_is_the_first_of_its_source(self):
        self.write("low/plain.cpp", '// Why.\n#include "low/plain.h"\n\n#include <vector>\n')
        self.assertEqual(lint.lone_headers(self.root), [])
        self.write("low/plain.cpp", '#include <vector>\n\n#include "low/plain.h"\n')
        self.assertEqual(lint.lone_headers(self.root), ["low/plain.h"])


if __name__ == "__main__":
    unittest.main()
