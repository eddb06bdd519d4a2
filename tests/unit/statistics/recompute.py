"""Recomputes a run's tables with numpy from a part, and compares them with what cfp wrote.

    recompute.py PART.h5 FOLDER_OF_TABLES
"""

import csv
import json
import sys
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np

part = h5py.File(sys.argv[1])
folder = Path(sys.argv[2])
summary = json.loads((folder / "summary.json").read_text())

label = part["clips/label"][:]
prediction = part["clips/prediction"][:]
logits = part["logits"][:]
targets = part["targets/class_index"][:]
clips, classes = logits.shape
layers = list(zip(part["layers/name"].asstr()[:], part["layers/group"].asstr()[:],
                  part["layers/depth"][:]))


def table(name):
    with open(folder / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def close(have, want, what):
    """Sums in another order: 1e-12 relative, and nothing where nothing was gathered."""
    if want is None or (isinstance(want, float) and np.isnan(want)):
        assert have in ("", None), f"{what}: {have!r} where there is nothing"
        return
    assert have not in ("", None), f"{what}: nothing, not {want}"
    np.testing.assert_allclose(float(have), want, rtol=1e-12, atol=1e-12, err_msg=what)


def mean(values):
    return float(np.mean(values)) if len(values) else None


def std(values):
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def edges(group):
    ranges = part["pyramid"][group]["edges/range"][:]
    return (ranges[..., 1] - ranges[..., 0]).astype(np.int64)


# A stable sort puts equal logits in the order of their index.
rank = np.array([list(np.argsort(-row, kind="stable")).index(max(one, 0))
                 for row, one in zip(logits, label)])
labelled = label >= 0
found = {g: part["pyramid"][g]["kernels/found"][:] for _, g, _ in layers}
reached = {g: part["pyramid"][g]["kernels/reached"][:] for _, g, _ in layers}
channels = {g: part["pyramid"][g]["channels/found"][:] for _, g, _ in layers}


def check_summary():
    accuracy = summary["accuracy"]
    close(accuracy["top1"], mean((label == prediction)[labelled]), "top-1")
    close(accuracy["top5"], mean((rank < 5)[labelled]), "top-5")
    per_class = [np.mean(prediction[label == c] == c) for c in range(classes) if np.any(label == c)]
    close(accuracy["mean_class"], mean(per_class), "mean class accuracy")
    assert summary["clips"]["done"] == clips
    assert summary["clips"]["failed"] == len(part["failures/row"])
    reasons = list(part["failures/reason"].asstr()[:])
    assert summary["failures"]["by_reason"] == {r: reasons.count(r) for r in set(reasons)}
    totals = {"kernels_found": found, "kernels_reached": reached, "channels_found": channels}
    for name, flags in totals.items():
        values = sum(f.sum(-1, dtype=np.int64) for f in flags.values()).ravel()
        have = summary["pyramid"][name]
        close(have["mean"], mean(values), name)
        close(have["std"], std(values), name)
        assert (have["count"], have["min"], have["max"]) == (values.size, values.min(), values.max())
    close(summary["pyramid"]["edges"]["mean"], mean(sum(edges(g) for _, g, _ in layers).ravel()),
          "edges")
    for stage in ("decode", "network", "pyramid"):
        seconds = part[f"clips/{stage}_s"][:]
        have = summary["seconds_a_clip"][stage]
        close(have["mean"], mean(seconds), stage)
        close(have["std"], std(seconds), stage)
        assert (have["min"], have["max"]) == (seconds.min(), seconds.max())
    total = part["clips/decode_s"][:] + part["clips/network_s"][:] + part["clips/pyramid_s"][:]
    assert [c["row"] for c in summary["slowest_clips"]] == list(np.argsort(-total)[:20])
    row = table("summary.csv")[0]
    close(row["top1_accuracy"], accuracy["top1"], "summary.csv top-1")
    assert row["weights"] == summary["weights"]


def check_classes():
    for c, row in enumerate(table("per_class.csv")):
        mine = label == c
        assert int(row["class"]) == c
        assert int(row["labelled"]) == mine.sum()
        assert int(row["top1"]) == np.sum(prediction[mine] == c)
        assert int(row["top5"]) == np.sum(rank[mine] < 5)
        assert int(row["predicted"]) == np.sum(prediction == c)
        right = mine[(prediction == c) & labelled]
        close(row["precision"], mean(right), "precision")
        of = targets == c
        assert int(row["explained"]) == of.sum()
        values = sum(f.sum(-1, dtype=np.int64) for f in found.values())[of]
        close(row["kernels_found_mean"], mean(values), f"class {c} kernels")
        close(row["kernels_found_std"], std(values), f"class {c} kernels")
        close(row["edges_mean"], mean(sum(edges(g) for _, g, _ in layers)[of]), f"class {c} edges")
        close(row["target_mean"], mean(part["targets/value"][:][of]), f"class {c} target")
    pairs = {(int(r["label"]), int(r["prediction"])): int(r["clips"]) for r in table("confusion.csv")}
    want = {}
    for pair in zip(label[labelled].tolist(), prediction[labelled].tolist()):
        want[pair] = want.get(pair, 0) + 1
    assert pairs == want


def totals(tensor):
    """Sums of P and of N of each target over all channels, and the share of P on found ones."""
    p = tensor["positive"][:].astype(np.float64)
    n = tensor["negative"][:].astype(np.float64)
    share = (p * tensor["found"][:]).sum(-1) / p.sum(-1) if "found" in tensor else np.array([])
    return p.sum(-1).ravel(), n.sum(-1).ravel(), share.ravel()


def check_additions():
    groups = part["additions"] if "additions" in part else {}
    assert sorted(a["name"] for a in summary["additions"]) == sorted(groups)
    for addition in summary["additions"]:
        name = addition["name"]
        group = groups[name]
        for have, tensor in [(addition["sum"], group["sum"])] + [
                (a, group[f"addend_{i}"]) for i, a in enumerate(addition["addends"])]:
            p, n, share = totals(tensor)
            close(have["p"]["mean"], mean(p), f"{name} P")
            close(have["p"]["std"], std(p), f"{name} P")
            close(have["n"]["mean"], mean(n), f"{name} N")
            if "found_share_of_p" in have:
                close(have["found_share_of_p"].get("mean"), mean(share), f"{name} share")
        for i, addend in enumerate(addition["addends"]):
            assert addend["node"] == group[f"addend_{i}"].attrs["node"]


def check_layers():
    for row, (name, group, depth) in zip(table("per_layer.csv"), layers, strict=True):
        values = found[group].sum(-1, dtype=np.int64).ravel()
        assert (row["layer"], int(row["depth"])) == (name, depth)
        close(row["kernels_found_mean"], mean(values), name)
        close(row["kernels_found_std"], std(values), name)
        assert float(row["kernels_found_min"]) == values.min()
        assert float(row["kernels_found_max"]) == values.max()
        close(row["kernels_reached_mean"], mean(reached[group].sum(-1).ravel()), name)
        assert int(row["kernels_ever_found"]) == found[group].any((0, 1)).sum()
        close(row["edges_mean"], mean(edges(group).ravel()), name)
        for tensor in ("kernels", "channels"):
            p, n, share = totals(part["pyramid"][group][tensor])
            close(row[f"{tensor}_p_mean"], mean(p), f"{name} {tensor} P")
            close(row[f"{tensor}_n_mean"], mean(n), f"{name} {tensor} N")
            close(row[f"{tensor}_found_share_of_p_mean"], mean(share), f"{name} {tensor} share")
        close(row["class_overlap_mean"],
              mean([o for o in overlaps([group]).values() if o is not None]), name)
    rows = iter(table("per_layer_class.csv"))
    for name, group, _ in layers:
        for c in np.unique(targets):
            row = next(rows)
            assert (row["layer"], int(row["class"])) == (name, c)
            close(row["kernels_found_mean"], mean(found[group].sum(-1)[targets == c]), name)
            close(row["edges_mean"], mean(edges(group)[targets == c]), name)
    assert next(rows, None) is None


def check_kernels():
    have = {(r["layer"], int(r["kernel"]), int(r["class"])): (int(r["found"]), float(r["frequency"]))
            for r in table("per_kernel.csv")}
    want = {}
    for name, group, _ in layers:
        for c in np.unique(targets):
            counts = found[group][targets == c].sum(0, dtype=np.int64)
            for k in np.flatnonzero(counts):
                want[name, int(k), int(c)] = (int(counts[k]), counts[k] / np.sum(targets == c))
    assert have == want


def overlaps(groups):
    """Jaccard index of each two classes' sets: what is found in at least half of the clips."""
    usual = {}
    for c in np.unique(targets):
        counts = np.concatenate([found[g][targets == c].sum(0, dtype=np.int64) for g in groups])
        usual[int(c)] = set(np.flatnonzero((counts > 0) & (2 * counts >= np.sum(targets == c))))
    return {(a, b): len(usual[a] & usual[b]) / len(usual[a] | usual[b])
            if usual[a] | usual[b] else None for a, b in combinations(sorted(usual), 2)}


def check_overlaps():
    want = overlaps([g for _, g, depth in layers if depth > 1])
    rows = table("class_overlap.csv")
    assert [(int(r["class_a"]), int(r["class_b"])) for r in rows] == list(want)
    for row in rows:
        close(row["jaccard"], want[int(row["class_a"]), int(row["class_b"])], "overlap")


check_summary()
check_classes()
check_layers()
check_additions()
check_kernels()
check_overlaps()
for path in folder.glob("*.csv"):
    assert all(row["weights"] == "random" for row in table(path.name)), path.name
print("equal")
