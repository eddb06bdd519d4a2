#!/usr/bin/env python3
"""Reads the publishers' annotation files with parsers of its own and compares them, row by row, with
the manifests of `cfp index`.

    published_rows.py --cfp build/release/bin/cfp --data ../shared/data/annotations --out FOLDER

Files of the official names, empty, stand for the data sets; nothing of them is opened.
"""

import argparse
import csv
import pathlib
import re
import subprocess
import sys


def lines(path):
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def table(path, delimiter=","):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


# Each parser: [(clip id, file below the root, start s, end s, {head: (number, class name)})]; the
# head of data sets that have one alone is called "".

def kinetics(folder, split):
    # The sorted names, which all maps of Kinetics-400 agree on; the excerpt has clips of some.
    records = table(folder / f"{split}.csv")
    numbers = {name: i for i, name in enumerate(sorted(lines(folder / "label_map.txt")))}
    stems = [f"{r['youtube_id']}_{int(r['time_start']):06d}_{int(r['time_end']):06d}"
             for r in records]
    return [(stem, f"{r['label']}/{stem}.mp4", None, None, {"": (numbers[r["label"]], r["label"])})
            for stem, r in zip(stems, records)]


def ucf101(folder, split):
    numbers = {name: int(number) - 1
               for number, name in (line.split() for line in lines(folder / "classInd.txt"))}
    paths = [line.split()[0] for line in lines(folder / f"{split}list01.txt")]
    return [(pathlib.Path(p).stem, p, None, None, {"": (numbers[p.split("/")[0]], p.split("/")[0])})
            for p in paths]


def hmdb51(folder, split):
    rows = []
    names = sorted(p.name[:-len("_test_split1.txt")] for p in folder.glob("*_test_split1.txt"))
    for class_number, name in enumerate(names):
        path = folder / f"{name}_test_split1.txt"
        for line in lines(path):
            file, flag = line.rsplit(None, 1)
            if split == "all" or flag == {"train": "1", "test": "2", "unused": "0"}[split]:
                rows.append((file[:-4], f"{name}/{file}", None, None,
                             {"": (class_number, name)}))
    return rows


def seconds(text):
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def epic(folder, file, id_column, names, place):
    verbs, nouns = ({int(list(r.values())[0]): list(r.values())[1] for r in table(folder / n)}
                    for n in names)
    records = table(folder / file)
    pairs = sorted({(int(r["verb_class"]), int(r["noun_class"]))
                    for r in records if r.get("verb_class")})
    numbers = {pair: i for i, pair in enumerate(pairs)}
    rows = []
    for r in records:
        labels = {}
        if r.get("verb_class"):
            verb, noun = int(r["verb_class"]), int(r["noun_class"])
            labels = {"verb": (verb, verbs[verb]), "noun": (noun, nouns[noun]),
                      "action": (numbers[verb, noun], f"{verbs[verb]} {nouns[noun]}")}
        rows.append((r[id_column], place(r), seconds(r["start_timestamp"]),
                     seconds(r["stop_timestamp"]), labels))
    return rows


def epic55(folder, split):
    file = "EPIC_train_action_labels.csv" if split == "train" else f"EPIC_{split}_timestamps.csv"
    part = "train" if split == "train" else "test"
    return epic(folder, file, "uid", ("EPIC_verb_classes.csv", "EPIC_noun_classes.csv"),
                lambda r: f"videos/{part}/{r['participant_id']}/{r['video_id']}.MP4")


def epic100(folder, split):
    file = "EPIC_100_test_timestamps.csv" if split == "test" else f"EPIC_100_{split}.csv"
    return epic(folder, file, "narration_id",
                ("EPIC_100_verb_classes.csv", "EPIC_100_noun_classes.csv"),
                lambda r: f"{r['participant_id']}/videos/{r['video_id']}.MP4")


def egtea(folder, split):
    name = {head: {int(line.rsplit(None, 1)[1]): line.rsplit(None, 1)[0]
                   for line in lines(folder / f"{head}_idx.txt")}
            for head in ("action", "verb", "noun")}
    rows = []
    for line in lines(folder / f"{split}_split1.txt"):
        clip, *numbers = line.split()
        numbers = dict(zip(("action", "verb", "noun"), map(int, numbers)))
        session = re.match(r"O?P\d\d-R\d\d-[A-Za-z]+", clip)[0]
        rows.append((clip, f"cropped_clips/{session}/{clip}.mp4", None, None,
                     {head: (number - 1, name[head][number]) for head, number in numbers.items()}))
    return rows


# type, parser, folder, split, rows in the files given (excerpts where the whole is larger)
SETS = [
    ("kinetics400", kinetics, "kinetics400", "val", 4977),
    ("ucf101", ucf101, "ucf101/ucfTrainTestlist", "train", 9537),
    ("ucf101", ucf101, "ucf101/ucfTrainTestlist", "test", 3783),
    ("hmdb51", hmdb51, "hmdb51/testTrainMulti_7030_splits", "train", 3570),
    ("hmdb51", hmdb51, "hmdb51/testTrainMulti_7030_splits", "test", 1530),
    ("hmdb51", hmdb51, "hmdb51/testTrainMulti_7030_splits", "unused", 1666),
    ("hmdb51", hmdb51, "hmdb51/testTrainMulti_7030_splits", "all", 6766),
    ("epic55", epic55, "epic55", "train", 6000),
    ("epic55", epic55, "epic55", "test_s1", 500),
    ("epic100", epic100, "epic100", "validation", 3000),
    ("epic100", epic100, "epic100", "test", 500),
    ("egtea", egtea, "egtea/action_annotation", "train", 8299),
    ("egtea", egtea, "egtea/action_annotation", "test", 2022),
]


def index(cfp, folder, kind, annotations, split):
    config = folder / "config.yaml"
    config.write_text("name: rows\n"
                      f"dataset: {{type: {kind}, data_root: root, annotations: {annotations},"
                      f" split: {split}}}\n"
                      "network: {type: resnet50_3d, checkpoint: random}\n")
    subprocess.run([cfp, "index", "config.yaml", "--probe", "none"], cwd=folder, check=True,
                   stdout=subprocess.PIPE)
    return table(folder / "manifest.csv")


def number(text):
    return float(text) if text else None


def row_of(record, folder, head_in_use):
    columns = {column[:-len("_label")]: (record[column], record[column[:-len("_label")]])
               for column in record if column.endswith("_label")}
    in_use = record["label"], record["class_name"]
    if columns and columns[head_in_use] != in_use:
        raise ValueError(f"label and class_name are not those of {head_in_use}: {record}")
    heads = {head: (int(label), name)
             for head, (label, name) in (columns or {"": in_use}).items() if label}
    return (record["clip_id"], record["path"].removeprefix(f"{folder.resolve()}/root/"),
            number(record["start_s"]), number(record["end_s"]), heads)


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--cfp", "--data", "--out"):
        arguments.add_argument(name, required=True, type=pathlib.Path)
    given = arguments.parse_args()
    wrong = 0
    for kind, parse, place, split, count in SETS:
        annotations = (given.data / place).resolve()
        expected = parse(annotations, split)
        folder = given.out / f"{kind}_{split}"
        for _, file, *_ in expected:
            path = folder / "root" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        head_in_use = "action" if kind == "egtea" else "verb"
        found = [row_of(r, folder, head_in_use)
                 for r in index(given.cfp.resolve(), folder, kind, annotations, split)]
        different = [(e, f) for e, f in zip(expected, found) if e != f]
        good = not different and len(expected) == len(found) == count
        print(f"{kind} {split}: {len(found)} rows, {len(expected)} by the other parser, {count} "
              f"published, {len(different)} differ", *different[:1])
        wrong += not good
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
