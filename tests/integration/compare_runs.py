"""Compares two folders of results, or fails: compare_runs.py FOLDER OTHER [--rows]

Without --rows every file must be the same but for times: each dataset and attribute of each part by
its bytes, tables and pages by their text. With --rows the second folder is one that `cfp merge`
wrote: clips are found through merged.h5, and compared one by one with those of the first, tables
and pages as before. What the parts of the first folder hold is kept beside it for the next comparison.
"""

import json
import pickle
import re
import sys
from pathlib import Path

import h5py
import numpy as np

TABLES = ("per_class.csv", "per_layer.csv", "per_layer_class.csv", "per_kernel.csv", "confusion.csv",
          "class_overlap.csv", "failures.csv", "manifest.csv")
TIMES = re.compile(r"decode [\d.e+-]+ s, network [\d.e+-]+ s, pyramid [\d.e+-]+ s")


def is_time(name):
    return name.rsplit("/", 1)[-1] in ("decode_s", "network_s", "pyramid_s")


def datasets(part):
    found = {}
    part.visititems(lambda name, item: found.__setitem__(name, item[()])
                    if isinstance(item, h5py.Dataset) and not is_time(name) else None)
    return found


def attributes(part):
    """All but the command line and the folder of the results, in which the two differ."""
    return {name: value for name, value in part.attrs.items() if name not in ("config", "command")}


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and (
        a.tobytes() == b.tobytes() if a.dtype != object else np.array_equal(a, b))


def part_names(folder):
    return sorted(path.name for path in folder.glob("part-*"))


def contents_of_parts(folder):
    """Attributes and datasets of each part, by its name."""
    contents = {}
    for name in part_names(folder):
        with h5py.File(folder / name) as part:
            contents[name] = attributes(part), datasets(part)
    return contents


def remembered_contents(folder):
    """The same, from the file beside the folder where there is one."""
    path = folder.parent / f"{folder.name}.pickle"
    if not path.exists():
        path.write_bytes(pickle.dumps(contents_of_parts(folder)))
    return pickle.loads(path.read_bytes())


def compare_parts(one, other):
    contents = remembered_contents(one)
    assert contents and list(contents) == part_names(other), part_names(other)
    for name, (attributes_of_one, left) in contents.items():
        with h5py.File(other / name) as part:
            assert attributes_of_one == attributes(part), f"{name}: attributes"
            right = datasets(part)
            assert left.keys() == right.keys(), f"{name}: {left.keys() ^ right.keys()}"
            for item in left:
                assert same(left[item], right[item]), f"{name}: {item}"


def clip_of(values, index):
    """Everything that a part, read by datasets(), holds of a clip."""
    clip = {}
    for name, item in values.items():
        if name.startswith(("classes/", "layers/", "failures/")):
            continue
        folder, _, field = name.rpartition("/")
        if not folder.endswith("/edges"):
            clip[name] = item[index]
        elif field in ("kernel", "channel", "score"):
            for target, (begin, end) in enumerate(values[folder + "/range"][index]):
                clip[f"{name} {target}"] = item[begin:end]
        elif field != "range":
            clip[name] = item[index]
    return clip


def clips_of_parts(folder):
    for _, values in remembered_contents(folder).values():
        for index in range(len(values["clips/row"])):
            yield clip_of(values, index)


def clips_of_merged(path):
    with h5py.File(path) as merged:
        names = merged["part_names"].asstr()[()]
        clips = merged["clips"]
        read = None
        for row, part, index in zip(clips["row"][()], clips["part"][()], clips["index"][()]):
            if part != read:
                values, read = datasets(merged["parts"][names[part]]), part
            clip = clip_of(values, index)
            assert clip["clips/row"] == row
            yield clip


def compare_rows(one, other):
    left, right = list(clips_of_parts(one)), list(clips_of_merged(other / "merged.h5"))
    assert len(left) == len(right) > 0, f"{len(left)} clips, {len(right)} merged"
    for a, b in zip(left, right):
        assert a.keys() == b.keys(), f"{a['clips/clip_id']}: {a.keys() ^ b.keys()}"
        for item in a:
            assert same(np.asarray(a[item]), np.asarray(b[item])), f"{a['clips/clip_id']}: {item}"


def summary(folder):
    values = json.loads((folder / "summary.json").read_text())
    del values["seconds_a_clip"], values["slowest_clips"]
    return values


def summary_line(folder):
    header, line = (row.split(",") for row in (folder / "summary.csv").read_text().splitlines())
    return {name: cell for name, cell in zip(header, line) if not name.endswith("_s_mean")}


def end(folder):
    values = json.loads((folder / "run.json").read_text())
    return {name: values[name] for name in ("state", "exit_code", "asked", "done", "failed",
                                            "reason")}


def main():
    one, other = Path(sys.argv[1]), Path(sys.argv[2])
    compare_rows(one, other) if "--rows" in sys.argv else compare_parts(one, other)
    for name in TABLES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert summary(one) == summary(other), "summary.json"
    assert summary_line(one) == summary_line(other), "summary.csv"
    assert end(one) == end(other), "run.json"
    pages = [TIMES.sub("", (folder / "summary.html").read_text()) for folder in (one, other)]
    assert pages[0] == pages[1], "summary.html"
    for folder in (one, other):
        left = [path.name for path in folder.rglob("*.tmp")]
        assert not left, f"{folder}: {left}"
    print("equal")


main()
