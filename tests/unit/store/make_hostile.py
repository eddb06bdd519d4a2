"""Makes parts that a reader must refuse out of a good one: make_hostile.py GOOD.h5 FOLDER

Each file is called after what is wrong with it.
"""

import shutil
import sys
from pathlib import Path

import h5py
import numpy as np


def replace(part, path, **keywords):
    """Puts another dataset in the place of one."""
    attributes = dict(part[path].attrs)
    del part[path]
    dataset = part.create_dataset(path, **keywords)
    dataset.attrs.update(attributes)


def huge_row(part):
    replace(part, "logits", shape=(3, 1 << 40), chunks=(1, 1 << 20), dtype="f4")


def huge_chunk(part):
    replace(part, "logits", shape=(3, 1 << 29), chunks=(1, 1 << 29), dtype="f4")


def many_rows_that_are_not_there(part):
    for name, dataset in list(part["clips"].items()):
        dataset.resize((1 << 40,))


def many_edges_that_are_not_there(part):
    edges = part["pyramid/fc/edges"]
    for name in ("kernel", "channel", "score"):
        edges[name].resize((1 << 50,))
    edges["range"][0, 0] = (0, 1 << 50)


def edges_beyond_the_end(part):
    part["pyramid/fc/edges/range"][1, 0] = (0, 1 << 40)


def edges_backwards(part):
    part["pyramid/fc/edges/range"][1, 0] = (5, 2)


def edge_of_no_kernel(part):
    part["pyramid/fc/edges/kernel"][0] = 60_000


def kernels_of_another_number(part):
    part["layers/kernels"][0] = 1 << 62


def one_layer_more(part):
    part["layers/name"].resize((9,))


def edges_of_no_range(part):
    part["pyramid/fc/edges/score"].attrs["steps"] = np.int32(65535)


def tubes_of_no_steps(part):
    part["tubes/fc/values"].attrs["steps"] = np.int32(-1)


def layer_without_group(part):
    part["layers/group"][0] = "not there"


def link_outside(part):
    shutil.copy(part.filename, part.filename + ".other")
    del part["logits"]
    part["logits"] = h5py.ExternalLink(part.filename + ".other", "/logits")


def soft_link(part):
    del part["logits"]
    part["logits"] = h5py.SoftLink("/frame_times")


def bytes_of_another_file(part):
    replace(part, "logits", shape=(3, 7), dtype="f4", external=[("/etc/passwd", 0, 84)])


def virtual(part):
    layout = h5py.VirtualLayout(shape=(3, 7), dtype="f4")
    layout[0] = h5py.VirtualSource("/nonexistent.h5", "x", shape=(7,))
    attributes = dict(part["logits"].attrs)
    del part["logits"]
    part.create_virtual_dataset("logits", layout).attrs.update(attributes)


def another_filter(part):
    replace(part, "logits", data=np.zeros((3, 7), "f4"), chunks=(3, 7), compression="lzf")


def text_where_numbers_belong(part):
    replace(part, "clips/label", data=["1", "2", "3"], dtype=h5py.string_dtype(), chunks=(3,))


def numbers_where_text_belongs(part):
    replace(part, "clips/clip_id", data=np.arange(3), chunks=(3,))


def compound(part):
    replace(part, "clips/label", data=np.zeros(3, [("a", "i4"), ("b", "f8")]), chunks=(3,))


def one_axis_more(part):
    replace(part, "clips/label", data=np.zeros((3, 1), "i4"), chunks=(3, 1))


def fewer_rows(part):
    part["clips/label"].resize((2,))


def prediction_of_no_class(part):
    part["clips/prediction"][:] = 7


def label_of_no_class(part):
    part["clips/label"][:] = -2


def target_of_no_class(part):
    part["targets/class_index"][:] = -1


def unknown_reason(part):
    part["failures/reason"][0] = "because"


def another_version(part):
    part.attrs["schema_version"] = np.int32(3)


def version_as_text(part):
    part.attrs["schema_version"] = "1"


def another_format(part):
    part.attrs["format"] = "something else"


def no_format(part):
    del part.attrs["format"]


def format_as_array(part):
    part.attrs["format"] = ["cfp part", "cfp part"]


def no_clips(part):
    del part["clips"]


def clips_is_a_dataset(part):
    del part["clips"]
    part["clips"] = 1


def million_addends(part):
    part["additions/layer4.2.add"].attrs["addends"] = np.int32(1_000_000)


CASES = [value for value in list(globals().values())
         if callable(value) and getattr(value, "__module__", None) == "__main__"
         and value is not replace]

good, folder = sys.argv[1:]
for case in CASES:
    path = Path(folder) / f"{case.__name__}.h5"
    shutil.copy(good, path)
    with h5py.File(path, "r+", libver=("v110", "v110")) as part:
        case(part)
