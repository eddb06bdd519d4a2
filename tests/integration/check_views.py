"""Checks two runs over the same clips, each seen in several views: one separate, one averaged.

    check_views.py SEPARATE_DIR AVERAGED_DIR VIEWS

Both with one clip at a time, so that means can be compared to the bit. Prints what was compared.
"""

import csv
import json
import sys
from pathlib import Path

import h5py
import numpy as np


def mean_of_views(values, views):
    """Means of the views of each row, in double, summed in their order."""
    by_row = values.reshape(-1, views, *values.shape[1:]).astype(np.float64)
    total = np.zeros_like(by_row[:, 0])
    for view in range(views):
        total += by_row[:, view]
    return total / views


def check_tables(folder, part, logits, pyramids_a_row):
    """Accuracy, confusion and counts are of rows, by their mean logits."""
    rows = len(logits)
    label = part["clips/label"][:][::len(part["clips/row"]) // rows]
    order = np.argsort(-logits, axis=1, kind="stable")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["clips"]["done"] == summary["clips"]["labelled"] == rows
    assert np.isclose(summary["accuracy"]["top1"], np.mean(order[:, 0] == label))
    assert np.isclose(summary["accuracy"]["top5"],
                      np.mean([row in best[:5] for row, best in zip(label, order)]))
    with open(folder / "confusion.csv", newline="") as file:
        pairs = {(int(r["label"]), int(r["prediction"])): int(r["clips"])
                 for r in csv.DictReader(file)}
    want = {}
    for pair in zip(label.tolist(), order[:, 0].tolist()):
        want[pair] = want.get(pair, 0) + 1
    assert pairs == want, (pairs, want)
    with open(folder / "per_layer.csv", newline="") as file:
        assert all(int(r["targets"]) == rows * pyramids_a_row for r in csv.DictReader(file))
    with open(folder / "per_class.csv", newline="") as file:
        assert sum(int(r["predicted"]) for r in csv.DictReader(file)) == rows


def check_relevance(apart, mean, views):
    compared = 0
    for layer in apart["layers/group"].asstr():
        for side in ("kernels", "channels"):
            one, other = (part[f"pyramid/{layer}/{side}"] for part in (apart, mean))
            means = {name: mean_of_views(one[name][:], views) for name in ("positive", "negative")}
            for name, want in means.items():
                np.testing.assert_array_equal(other[name][:], want.astype(np.float32))
                compared += want.size
            score = means["positive"] - 0.5 * means["negative"]
            np.testing.assert_array_equal(other["score"][:], score.astype(np.float32))
            if apart["layers/group"].asstr()[0] == layer:
                continue  # the class alone is found
            largest = other["score"][:].max(axis=-1, keepdims=True)
            enough = (0.3 * largest.astype(np.float64)).astype(np.float32)
            found = (other["score"][:] > 0) & (other["score"][:] >= enough)
            np.testing.assert_array_equal(other["found"][:].astype(bool), found)
    return compared


def main():
    separate, averaged, views = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with h5py.File(separate / "part-00000.h5") as apart, \
            h5py.File(averaged / "part-00000.h5") as mean:
        rows = len(mean["clips/row"])
        np.testing.assert_array_equal(apart["clips/row"][:], np.repeat(np.arange(rows), views))
        np.testing.assert_array_equal(apart["clips/view"][:], np.tile(np.arange(views), rows))
        assert np.all(apart["clips/views"][:] == 1)
        np.testing.assert_array_equal(mean["clips/row"][:], np.arange(rows))
        assert np.all(mean["clips/view"][:] == 0) and np.all(mean["clips/views"][:] == views)

        logits = mean_of_views(apart["logits"][:], views).astype(np.float32)
        np.testing.assert_array_equal(mean["logits"][:], logits)
        predicted = logits.argmax(axis=1)
        np.testing.assert_array_equal(mean["clips/prediction"][:], predicted)
        np.testing.assert_array_equal(apart["clips/prediction"][:], np.repeat(predicted, views))
        np.testing.assert_array_equal(mean["targets/class_index"][:, 0], predicted)
        np.testing.assert_array_equal(apart["targets/class_index"][:, 0],
                                      np.repeat(predicted, views))
        alone = apart["logits"][:].argmax(axis=1)
        outvoted = int(np.sum(alone != np.repeat(predicted, views)))
        check_tables(separate, apart, logits, views)
        check_tables(averaged, mean, logits, 1)
        compared = check_relevance(apart, mean, views)
    print(f"{rows} rows of {views} views, {compared} means, {'some' if outvoted else 'no'} outvoted")


main()
