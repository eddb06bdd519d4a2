"""Prints the kernels that matter most for each clip of a part: read_results.py PART.h5"""

import sys

import h5py

with h5py.File(sys.argv[1]) as part:
    layers = list(zip(part["layers/name"].asstr(), part["layers/group"].asstr()))
    for i, clip in enumerate(part["clips/clip_id"].asstr()):
        print(clip, "predicted", part["clips/prediction"][i], "p", part["clips/score"][i])
        for name, group in layers:
            score = part["pyramid"][group]["kernels/score"][i, 0]  # clip i, target 0
            print("   ", name, "kernels", score.argsort()[::-1][:5])
