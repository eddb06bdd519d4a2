#!/usr/bin/env python3
"""Checks what a compiler does not: the walls between the rooms, sizes, and the look of files.

The table of rooms in docs/architecture.md is the rule that the includes are checked against, so the
picture in the docs and the code cannot drift apart; so every file must be named there, too.

    lint.py ROOT                     prints `file:line: finding` for each one; exit code 1 if any
    lint.py ROOT --lone-headers      prints the headers that nothing else compiles alone, one a line
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MAX_LINES = 450
CODE_SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".py"}
HEADER_SUFFIXES = {".h", ".cuh"}
CPP_SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
TEXT_SUFFIXES = CODE_SUFFIXES | {".md", ".yaml", ".yml", ".cmake", ".txt", ".json", ".sh", ""}
# Rooms whose sources see precompiled headers before their own.
PRECOMPILED = {"stages/network", "stages/pyramid", "pipeline/commands"}
SKIPPED_FOLDERS = {".git", "build", ".venv", "work_dirs", ".cache", "__pycache__"}

# Which library an <include> belongs to, by how it begins.
LIBRARIES = {
    "LibTorch": ("ATen/", "c10/", "oneapi/dnnl/", "torch/"),
    "fmt": ("fmt/",),
    "FFmpeg": ("libavformat/", "libavcodec/", "libavutil/", "libswscale/", "libavdevice/"),
    "HDF5": ("hdf5.h", "hdf5_hl.h", "H5"),
    "yaml-cpp": ("yaml-cpp/",),
    "oneTBB": ("oneapi/tbb", "tbb/"),
    "CLI11": ("CLI/",),
    "spdlog": ("spdlog/",),
    "nlohmann-json": ("nlohmann/",),
    "OpenMP": ("omp.h",),
    "GoogleTest": ("gtest/", "gmock/"),
    "Google Benchmark": ("benchmark/",),
}
# Headers of POSIX, Linux and the compiler, which any room may include.
SYSTEM = re.compile(
    r"^(sys/|linux/|arpa/|netinet/)|^(unistd|fcntl|dirent|poll|pthread|sched|signal|spawn|termios"
    r"|dlfcn|malloc|stdlib|time|pwd|syslog|immintrin|x86intrin|cpuid|numa|cuda_runtime_api)\.h$"
)
STANDARD = re.compile(r"^[a-z_]+$")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
NAMED_SOURCE = re.compile(r"`([\w./*-]+\.(?:h|cpp))`")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")')

# What belongs to one machine or one way of getting packages, never to the project.
FORBIDDEN = [
    (re.compile(r"(?<![\w.$}*])/(?:work|root)/"), "a path of one machine"),
    (re.compile(r"/home/\w"), "a path of one machine"),
    (re.compile(r"(?:pypi|pythonhosted|debian|npmjs|download\.pytorch)\.org\b"), "a package host"),
    (re.compile(r"\b(?:TODO|FIXME|XXX)\b"), "work left undone"),
]


@dataclass
class Room:
    """One row of the table: who it may include, and which libraries belong to it.

    `libraries` maps a library to the file patterns inside the room that may include it; no pattern
    means every file.
    """

    folder: str
    includes: set = field(default_factory=set)
    libraries: dict = field(default_factory=dict)


class Findings:
    def __init__(self):
        self.lines = []

    def add(self, path, line, text):
        self.lines.append(f"{path}:{line}: {text}")


def read_rooms(architecture):
    """Reads the table under the heading "## Rooms".

    Columns: folder | what it is for | includes | libraries. Folders and patterns stand in
    backquotes; `LibTorch (resize.cpp)` gives a library to one file of the room only.
    """
    rooms = {}
    in_section = False
    for line in architecture.read_text().splitlines():
        if line.startswith("## "):
            in_section = line.strip() == "## Rooms"
        if not in_section or not line.startswith("| `"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 4:
            sys.exit(f"{architecture}: a row of the table of rooms needs four cells: {line}")
        folder = cells[0].strip("`").rstrip("/")
        room = Room(folder, set(re.findall(r"`([^`]+)`", cells[2])))
        for part in re.split(r",(?![^(]*\))", cells[3]):
            match = re.match(r"^([A-Za-z0-9 +-]+?)(?:\s*\(([^)]*)\))?$", part.strip())
            if match and match.group(1) in LIBRARIES:
                room.libraries[match.group(1)] = re.findall(r"`([^`]+)`", match.group(2) or "")
            elif part.strip() != "–":
                sys.exit(f"{architecture}: room {folder}: no such library: {part.strip()!r}")
        rooms[folder] = room
    if not rooms:
        sys.exit(f'{architecture}: there is no table of rooms under "## Rooms"')
    for room in rooms.values():
        for name in room.includes:
            if not any(is_below(name, other) or is_below(other, name) for other in rooms):
                sys.exit(f"{architecture}: room {room.folder} includes an unknown room: {name}")
    return rooms


def is_below(path, folder):
    return path == folder or path.startswith(folder + "/")


def room_of(path, rooms):
    """The room with the longest folder that `path` lies in; None outside all of them."""
    return max((r for r in rooms.values() if is_below(path, r.folder)), default=None,
               key=lambda room: len(room.folder))


def library_of(include):
    for library, beginnings in LIBRARIES.items():
        if include.startswith(beginnings):
            return library
    return None


def files_of(root):
    """Files that git knows or would add; without git, all outside the folders of builds."""
    try:
        listed = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True).stdout.decode()
        names = [name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(root)) for path in root.rglob("*")
                 if not SKIPPED_FOLDERS & set(path.relative_to(root).parts)]
    return sorted(n for n in set(names) if (root / n).is_file() and not (root / n).is_symlink())


def is_text(name, content):
    return Path(name).suffix in TEXT_SUFFIXES and b"\0" not in content


def check_look(name, text, findings):
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            findings.add(name, number, "a tab")
        if line != line.rstrip():
            findings.add(name, number, "blanks at the end of the line")
        for pattern, why in FORBIDDEN:
            if name != "tests/lint/lint.py" and pattern.search(line):
                findings.add(name, number, f"{why}: {line.strip()[:80]}")
    if text and not text.endswith("\n"):
        findings.add(name, len(lines), "no newline at the end of the file")
    if Path(name).suffix in CODE_SUFFIXES and len(lines) > MAX_LINES:
        findings.add(name, len(lines), f"{len(lines)} lines; {MAX_LINES} are allowed")


def check_header(name, text, findings):
    lines = text.splitlines()
    if not lines or not lines[0].startswith("//"):
        findings.add(name, 1, "a header opens with a comment that says what it is for")
    if "#pragma once" not in lines:
        findings.add(name, 1, "a header needs #pragma once")


def check_quoted_include(root, rooms, name, number, include, findings):
    if not (root / include).is_file():
        findings.add(name, number, f'"{include}" is no path of this repository')
        return
    mine, theirs = room_of(name, rooms), room_of(include, rooms)
    if theirs is None:
        findings.add(name, number, f'"{include}" lies in no room of docs/architecture.md')
    elif theirs is not mine and not any(is_below(include, allowed) for allowed in mine.includes):
        findings.add(name, number, f'{mine.folder} may not include "{include}"')


def check_library_include(rooms, name, number, include, findings):
    library = library_of(include)
    if library is None:
        if not STANDARD.match(include) and not SYSTEM.search(include):
            findings.add(name, number, f"<{include}> belongs to no library that lint.py knows")
        return
    room = room_of(name, rooms)
    if library not in room.libraries:
        findings.add(name, number, f"{room.folder} may not include {library} (<{include}>)")
        return
    patterns = room.libraries[library]
    inside = PurePosixPath(name).relative_to(room.folder)
    if patterns and not any(inside.match(pattern) for pattern in patterns):
        findings.add(name, number, f"in {room.folder} only {', '.join(patterns)} may include "
                                   f"{library} (<{include}>)")


def check_includes(root, rooms, name, text, findings):
    if room_of(name, rooms) is None:
        findings.add(name, 1, "lies in no room of docs/architecture.md")
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match and match.group(2):
            check_quoted_include(root, rooms, name, number, match.group(2), findings)
        elif match:
            check_library_include(rooms, name, number, match.group(1), findings)


def check_page(root, names, name, text, findings):
    """Links of a page lead to files, and the sources that it names are there."""
    folder = PurePosixPath(name).parent
    for number, line in enumerate(text.splitlines(), 1):
        for target in LINK.findall(line):
            if not (root / folder / target).exists():
                findings.add(name, number, f"the link leads nowhere: {target}")
        for source in NAMED_SOURCE.findall(line):
            if not any(PurePosixPath(other).match(source) for other in names):
                findings.add(name, number, f"there is no file {source}")


def check_index(names, rooms, architecture, findings):
    """Every source of the rooms is named under "## Where to find what", by its header or itself."""
    _, _, section = architecture.partition("\n## Where to find what\n")
    named = NAMED_SOURCE.findall(section.partition("\n## ")[0])
    for name in names:
        path = PurePosixPath(name)
        room = room_of(name, rooms)
        if path.suffix not in CPP_SUFFIXES or room is None or room.folder == "tests":
            continue
        alike = [path, path.with_suffix(".h")]
        if not any(each.match(pattern) for each in alike for pattern in named):
            findings.add(name, 1, "is not in the list of files of docs/architecture.md")


def check(root):
    rooms = read_rooms(root / "docs/architecture.md")
    findings = Findings()
    names = files_of(root)
    check_index(names, rooms, (root / "docs/architecture.md").read_text(), findings)
    for name in names:
        content = (root / name).read_bytes()
        if not is_text(name, content):
            continue
        try:
            text = content.decode()
        except UnicodeDecodeError:
            findings.add(name, 1, "not UTF-8")
            continue
        suffix = Path(name).suffix
        check_look(name, text, findings)
        if suffix in HEADER_SUFFIXES:
            check_header(name, text, findings)
        if suffix == ".md":
            check_page(root, names, name, text, findings)
        if suffix in CPP_SUFFIXES:
            check_includes(root, rooms, name, text, findings)
    return findings.lines


def is_first_in_its_source(root, name):
    """Whether a source of the same name compiles the header before anything else."""
    source = (root / name).with_suffix(".cpp")
    folder = str(PurePosixPath(name).parent)
    if folder in PRECOMPILED or folder.startswith("tests") or not source.exists():
        return False
    first = next((INCLUDE.match(line) for line in source.read_text().splitlines()
                  if INCLUDE.match(line)), None)
    return first is not None and first.group(2) == name


def lone_headers(root):
    """Headers that no source compiles first, and that include neither LibTorch nor CUDA, themselves
    or through others."""
    headers = {n: (root / n).read_text() for n in files_of(root) if Path(n).suffix == ".h"}

    def is_plain(name, seen):
        for line in headers[name].splitlines():
            match = INCLUDE.match(line)
            if not match:
                continue
            angled, quoted = match.groups()
            if angled and (library_of(angled) == "LibTorch" or angled.startswith("cuda")):
                return False
            if quoted in headers and quoted not in seen and not is_plain(quoted, seen | {quoted}):
                return False
        return True

    return [name for name in headers
            if is_plain(name, {name}) and not is_first_in_its_source(root, name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--lone-headers", action="store_true",
                        help="print the headers that nothing else compiles alone")
    arguments = parser.parse_args()
    if arguments.lone_headers:
        print("\n".join(lone_headers(arguments.root)))
        return 0
    findings = check(arguments.root)
    print("\n".join(findings) if findings else "no findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
