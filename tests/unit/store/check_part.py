"""Reads a part with h5py and compares all of it with a JSON file that says what was written.

    check_part.py PART EXPECTED.json

Numbers are compared exactly: what is stored must be what was given. Those that are stored as steps of
a range are off by half a step at most; an edge, which keeps one at least, by a whole one.
"""

import json
import sys

import h5py
import numpy as np

FIELDS = ("positive", "negative", "score", "found", "reached")


def text(dataset):
    return dataset.asstr()[()]


def check_equal(have, want, what):
    assert np.array_equal(np.asarray(have), np.asarray(want)), f"{what}: {have} is not {want}"


def check_relevance(group, row, target, want, what):
    for field in FIELDS:
        if want[field]:
            value = group[field][row, target]
            kind = np.uint8 if field in ("found", "reached") else np.float32
            assert value.dtype == kind, f"{what} {field}: {value.dtype}"
            check_equal(value, np.array(want[field], kind), f"{what} {field}")
        else:
            assert field not in group, f"{what} {field}: stored, though empty"


def check_steps(dataset, which, low, high, want, off):
    steps = dataset.attrs["steps"]
    assert dataset.dtype == {255: np.uint8, 65535: np.uint16}[steps], dataset.dtype
    assert f"/ {steps}" in dataset.attrs["unit"], dataset.attrs["unit"]
    value = np.float64(low) + dataset[which] / np.float64(steps) * (np.float64(high) - low)
    # 1e-6: of float32 in the writer's arithmetic
    assert np.all(np.abs(value - want) <= (off / steps + 1e-6) * (high - low)), dataset.name


def check_layer(part, row, target, want):
    index = list(text(part["layers/name"])).index(want["name"])
    name = text(part["layers/group"])[index]
    layer = part["pyramid"][name]
    assert layer.attrs["layer"] == want["name"]
    assert part["layers/depth"][index] == want["depth"]
    assert part["layers/kernels"][index] == len(want["kernels"]["score"])
    assert part["layers/channels"][index] == len(want["channels"]["score"])
    check_relevance(layer["kernels"], row, target, want["kernels"], name + " kernels")
    check_relevance(layer["channels"], row, target, want["channels"], name + " channels")
    begin, end = layer["edges/range"][row, target]
    edges = layer["edges"]
    assert edges["kernel"].dtype == np.uint16 and edges["channel"].dtype == np.uint16
    check_equal(edges["kernel"][begin:end], [e[0] for e in want["edges"]], name + " edges")
    check_equal(edges["channel"][begin:end], [e[1] for e in want["edges"]], name + " edges")
    scores = np.array([e[2] for e in want["edges"]], np.float32)
    if "steps" in edges["score"].attrs:
        check_steps(edges["score"], slice(begin, end), 0, edges["largest"][row, target], scores, 1)
    else:
        check_equal(edges["score"][begin:end], scores, name + " edges")
    tube = part["tubes"][name]
    low, high = tube["minimum"][row, target], tube["maximum"][row, target]
    shape = tube["values"].shape[2:]
    wanted = np.array(want["tube"], np.float32).reshape(shape)
    check_equal(part["layers/tube_shape"][index], shape, name + " tube shape")
    assert low == wanted.min() and high == wanted.max()
    if "steps" in tube["values"].attrs:
        check_steps(tube["values"], (row, target), low, high, wanted, 0.5)
    else:
        check_equal(tube["values"][row, target], wanted, name + " tube")


def check_clip(part, row, want):
    clips = part["clips"]
    for name in ("row", "view", "label", "prediction", "decode_s", "network_s", "pyramid_s"):
        assert clips[name][row] == want[name], f"{name} of row {row}"
    for name in ("clip_id", "path"):
        assert text(clips[name])[row] == want[name], f"{name} of row {row}"
    logits = np.array(want["logits"], np.float32)
    check_equal(part["logits"][row], logits, "logits")
    check_equal(part["frame_times"][row], want["frame_times_s"], "frame times")
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    # float32 of a sum in another order: half a unit in the last place.
    np.testing.assert_allclose(clips["score"][row], exponentials.max() / exponentials.sum(),
                               rtol=2e-7)
    for target, pyramid in enumerate(want["pyramids"]):
        assert part["targets/class_index"][row, target] == pyramid["class_index"]
        assert text(part["targets/kind"])[row, target] == pyramid["kind"]
        assert part["targets/value"][row, target] == pyramid["value"]
        for layer in pyramid["layers"]:
            check_layer(part, row, target, layer)
        for addition in pyramid["additions"]:
            group = part["additions"][addition["name"]]
            check_relevance(group["sum"], row, target, addition["sum"], addition["name"])
            for a, addend in enumerate(addition["addends"]):
                assert group[f"addend_{a}"].attrs["node"] == addition["addend_names"][a]
                check_relevance(group[f"addend_{a}"], row, target, addend, addition["name"])


def check_described(name, item):
    """Every dataset says what it means, in which unit, along which axes."""
    if isinstance(item, h5py.Dataset):
        assert item.attrs["meaning"], f"{name}: no meaning"
        assert isinstance(item.attrs["unit"], str), f"{name}: no unit"
        axes = item.attrs["axes"].split(", ")
        assert len(axes) == item.ndim, f"{name}: {axes} of {item.shape}"
        assert item.maxshape[0] is None and item.chunks, f"{name}: cannot grow"


def main():
    with h5py.File(sys.argv[1]) as part, open(sys.argv[2], encoding="utf-8") as file:
        expected = json.load(file)
        part.visititems(check_described)
        for name, value in expected["header"].items():
            assert part.attrs[name] == value, f"attribute {name}"
        assert dict(part["versions"].attrs) == expected["versions"]
        assert list(text(part["classes/name"])) == expected["class_names"]
        assert part["clips/row"].shape == (len(expected["clips"]),)
        for row, clip in enumerate(expected["clips"]):
            check_clip(part, row, clip)
        for row, failure in enumerate(expected["failures"]):
            assert part["failures/row"][row] == failure["row"]
            for name in ("clip_id", "path", "stage", "reason", "message"):
                assert text(part["failures"][name])[row] == failure[name], f"failure {name}"
    print("equal")


if __name__ == "__main__":
    main()
