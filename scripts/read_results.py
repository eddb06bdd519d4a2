"""Reads every clip of a part, or of merged.h5, with h5py: read_results.py FILE"""

import sys

import h5py

with h5py.File(sys.argv[1]) as file:
    for part in file["parts"].values() if "parts" in file else [file]:
        for i, clip in enumerate(part["clips/clip_id"].asstr()):
            print(clip, "predicted", part["clips/prediction"][i], "p", part["clips/score"][i])
            for name, group in zip(part["layers/name"].asstr(), part["layers/group"].asstr()):
                layer = part["pyramid"][group]
                score = layer["kernels/score"][i, 0]  # clip i, target 0
                begin, end = layer["edges/range"][i, 0] if "edges" in layer else (0, 0)
                has_tube = group in part.get("tubes", ())
                tube = part["tubes"][group]["values"][i, 0].shape if has_tube else None
                print("   ", name, "kernels", score.argsort()[::-1][:5], "edges", end - begin,
                      "tube", tube)
