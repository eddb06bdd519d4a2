"""Compares an exported graph with the part that it was made of, number by number.

    check_graph.py PART.h5 CLIP_INDEX TARGET GRAPH.json|GRAPH.graphml

Prints what was compared.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree

import h5py
import numpy as np

FIELDS = ("positive", "negative", "score", "found", "reached")


def vectors(group, index, target):
    """Of one tensor; a dataset that is not there stands for an empty vector."""
    return {name: group[name][index, target] if name in group else np.zeros(0) for name in FIELDS}


def stored_edges(group, index, target):
    begin, end = group["range"][index, target]
    return {name: group[name][begin:end] for name in ("kernel", "channel", "score")}


def same(have, want):
    np.testing.assert_array_equal(np.asarray(have, dtype=want.dtype), want)


def check_json(part, index, target, path):
    with open(path, encoding="utf-8") as file:
        graph = json.load(file)
    assert graph["schema_version"] == 1 and graph["format"] == "cfp pyramid"
    assert graph["clip"]["clip_id"] == part["clips/clip_id"].asstr()[index]
    assert graph["target"]["class_index"] == part["targets/class_index"][index, target]
    assert graph["target"]["value"] == part["targets/value"][index, target]
    assert graph["method"] == part["pyramid"].attrs["method"]
    same(graph["clip"]["logits"], part["logits"][index])
    same(graph["clip"]["frame_times_s"], part["frame_times"][index])
    names, groups = list(part["layers/name"].asstr()), list(part["layers/group"].asstr())
    assert [layer["name"] for layer in graph["layers"]] == names
    edges = 0
    for layer, group, depth in zip(graph["layers"], groups, part["layers/depth"]):
        assert layer["depth"] == depth
        for side in ("kernels", "channels"):
            for name, want in vectors(part["pyramid"][group][side], index, target).items():
                same(layer[side][name], want)
        for name, want in stored_edges(part["pyramid"][group]["edges"], index, target).items():
            same(layer["edges"][name], want)
        edges += len(layer["edges"]["score"])
        assert layer["tube"]["shape"] == list(part["tubes"][group]["values"].shape[2:])
        assert np.float32(layer["tube"]["maximum"]) == part["tubes"][group]["maximum"][index, target]
    stored = {group.attrs["addition"]: group for group in part["additions"].values()}
    assert len(stored) == len(graph["additions"])
    for addition in graph["additions"]:
        group = stored[addition["name"]]
        for name, want in vectors(group["sum"], index, target).items():
            same(addition["sum"][name], want)
        for a, addend in enumerate(addition["addends"]):
            assert addend["node"] == group[f"addend_{a}"].attrs["node"]
            same(addend["relevance"]["positive"], group[f"addend_{a}"]["positive"][index, target])
    routes = len(graph["routes"]["kernel"]) if graph["routes"] else 0
    print(f"{len(names)} layers, {edges} edges, {len(graph['additions'])} additions, "
          f"{routes} routes")


def check_graphml(part, index, target, path):
    xmlns = "{http://graphml.graphdrawing.org/xmlns}"
    root = ElementTree.parse(path).getroot()
    groups = list(part["layers/group"].asstr())
    side = {"k": "kernels", "c": "channels"}
    names = {key.get("id"): key.get("attr.name") for key in root.iter(xmlns + "key")}

    def data(element):
        return {names[d.get("key")]: d.text for d in element.findall(xmlns + "data")}

    def split(node_id):
        layer, kind, number = re.fullmatch(r"L(\d+)([kc])(\d+)", node_id).groups()
        return int(layer), side[kind], int(number)

    found = 0
    for node in root.iter(xmlns + "node"):
        layer, kind, number = split(node.get("id"))
        stored, values = vectors(part["pyramid"][groups[layer]][kind], index, target), data(node)
        for name in ("positive", "negative", "score"):
            assert np.float32(values[name]) == stored[name][number], (values, name)
        relevance = float(stored["positive"][number]) - float(stored["negative"][number])
        assert float(values["relevance"]) == relevance
        assert stored["found"][number] == 1 and values["found"] == "true"
        assert (values["reached"] == "true") == bool(stored["reached"][number])
        assert int(values["depth"]) == part["layers/depth"][layer]
        found += 1
    assert found == sum(int(part["pyramid"][g][s]["found"][index, target].sum())
                        for g in groups for s in side.values())
    edges, sources, reached = {}, {}, set()
    for node in root.iter(xmlns + "node"):
        if data(node)["kind"] == "kernel" and data(node)["reached"] == "true":
            reached.add(node.get("id"))
    for edge in root.iter(xmlns + "edge"):
        sources.setdefault(edge.get("target"), []).append(edge.get("source"))
        if data(edge)["kind"] == "evidence":
            (layer, _, channel), (_, _, kernel) = split(edge.get("source")), split(edge.get("target"))
            edges[layer, kernel, channel] = np.float32(data(edge)["weight"])
    want = {}
    for layer, group in enumerate(groups):
        stored = stored_edges(part["pyramid"][group]["edges"], index, target)
        for kernel, channel, score in zip(*stored.values()):
            want[layer, kernel, channel] = score
    assert edges == want
    # A kernel that cfp calls reached, a walk against the edges reaches from the explained class. Of
    # channels it may be another layer that reads the same tensor. (The other way round need not hold:
    # what passes an addition must be found there, too, which is no node here.)
    ahead = [f"L0k{part['targets/class_index'][index, target]}"]
    seen = set(ahead)
    while ahead:
        new = set(sources.get(ahead.pop(), [])) - seen
        seen |= new
        ahead += new
    assert reached and reached <= seen, sorted(reached - seen)
    print(f"{found} nodes, {len(edges)} edges")


def main():
    with h5py.File(sys.argv[1]) as part:
        check = check_json if sys.argv[4].endswith(".json") else check_graphml
        check(part, int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])


if __name__ == "__main__":
    main()
