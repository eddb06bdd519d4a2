"""Checks that a file is GraphML and prints what is in it as JSON: check_graphml.py FILE

The rules of the format are checked one by one with Python's own XML reader; where networkx is
installed, it reads the file as well and must find the same.
"""

import json
import math
import re
import sys
import xml.etree.ElementTree as ElementTree

XMLNS = "{http://graphml.graphdrawing.org/xmlns}"
TOKEN = re.compile(r"[\w.:-]+")  # what XML Schema calls NMTOKEN, ids and references are of it
READERS = {"int": int, "long": int, "float": float, "double": float, "string": str,
           "boolean": {"true": True, "false": False}.__getitem__}


def children(element, *allowed):
    for child in element:
        assert child.tag in [XMLNS + name for name in allowed], child.tag
        yield child


def read_data(element, keys, domain):
    values = {}
    for data in element.findall(XMLNS + "data"):
        wanted_of, name, kind = keys[data.get("key")]
        assert wanted_of == domain, (data.get("key"), domain)
        assert name not in values, f"{name} is given twice"
        values[name] = READERS[kind](data.text or "")
        if kind in ("float", "double"):
            assert math.isfinite(values[name]), values
    return values


def check(path):
    root = ElementTree.parse(path).getroot()
    assert root.tag == XMLNS + "graphml", root.tag
    keys = {}
    for key in root.findall(XMLNS + "key"):
        assert key.get("attr.type") in READERS, key.attrib
        assert key.get("id") not in keys
        keys[key.get("id")] = (key.get("for"), key.get("attr.name"), key.get("attr.type"))
    # The schema wants keys before graphs.
    tags = [child.tag for child in children(root, "key", "graph")]
    assert tags == sorted(tags, reverse=True) and tags.count(XMLNS + "graph") == 1, tags
    graph = root.find(XMLNS + "graph")
    assert graph.get("edgedefault") == "directed"
    nodes, kinds = {}, {}
    for child in children(graph, "data", "node", "edge"):
        if child.tag == XMLNS + "node":
            assert TOKEN.fullmatch(child.get("id")) and child.get("id") not in nodes
            nodes[child.get("id")] = read_data(child, keys, "node")
    weights = {}
    for edge in graph.findall(XMLNS + "edge"):
        ends = edge.get("source"), edge.get("target")
        assert ends[0] in nodes and ends[1] in nodes and ends not in weights, ends
        values = read_data(edge, keys, "edge")
        kinds[values["kind"]] = kinds.get(values["kind"], 0) + 1
        source, target = nodes[ends[0]], nodes[ends[1]]
        if values["kind"] == "evidence":
            assert source["kind"] == "channel" and target["kind"] == "kernel"
            assert source["layer"] == target["layer"] and "weight" in values
        else:
            assert source["kind"] == "kernel" and target["kind"] == "channel"
        weights[ends] = values.get("weight")
    return read_data(graph, keys, "graph"), nodes, weights, kinds


def compare_with_networkx(path, about, nodes, weights):
    try:
        import networkx
    except ImportError:
        return
    graph = networkx.read_graphml(path)
    assert graph.is_directed() and graph.graph["clip_id"] == about["clip_id"]
    assert dict(graph.nodes(data=True)) == nodes
    assert {(a, b): w for a, b, w in graph.edges(data="weight")} == weights


def main():
    about, nodes, weights, kinds = check(sys.argv[1])
    compare_with_networkx(sys.argv[1], about, nodes, weights)
    json.dump({"nodes": len(nodes), "evidence": kinds.get("evidence", 0),
               "routes": kinds.get("route", 0), "clip_id": about["clip_id"]}, sys.stdout)


if __name__ == "__main__":
    main()
