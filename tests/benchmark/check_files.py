#!/usr/bin/env python3
"""Times `cfp check` (headers) and `cfp index` over many files, beside ffprobe on the same files, and
`cfp index` of a list as long as the validation list of Kinetics-400 where no clip is there.

    check_files.py --cfp build/release/bin/cfp --clips ../shared/data/clips --files 20000

Prints seconds, files a second, and how many times as long ffprobe takes a file, one process each, as
scripts use it. Files are copies of the given clips, so that none is met twice.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

CLIPS = ("h265_video.mp4", "av1_video.mkv", "rotated_90.mov", "flipping_a_pancake.mkv")


def seconds(command, folder):
    start = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return time.monotonic() - start


KINETICS_ROWS = 19906  # of the validation list of Kinetics-400
KINETICS_BOUND_S = 2


def kinetics_list(path):
    """A list of the form and length of the published one: ids of 11 characters, 400 classes."""
    with open(path, "w") as file:
        file.write("label,youtube_id,time_start,time_end,split,is_cc\n")
        for i in range(KINETICS_ROWS):
            file.write(f'"class number {i % 400}",{"-_"[i % 2]}{i:010d},{i % 600},{i % 600 + 10},'
                       "val,0\n")


def index_of_nothing_s(cfp, folder):
    (folder / "nothing").mkdir()
    kinetics_list(folder / "val.csv")
    (folder / "kinetics.yaml").write_text(
        "dataset: {type: kinetics400, data_root: nothing, annotations: val.csv}\n"
        "network: {type: resnet50_3d, checkpoint: random}\n")
    return seconds([cfp, "index", "kinetics.yaml", "--out", "kinetics.csv"], folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cfp", type=pathlib.Path, required=True)
    parser.add_argument("--clips", type=pathlib.Path, required=True)
    parser.add_argument("--files", type=int, default=20000)
    parser.add_argument("--probed", type=int, default=200, help="files that ffprobe looks at")
    given = parser.parse_args()
    cfp = str(given.cfp.resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        empty_s = index_of_nothing_s(cfp, folder)
        print(f"index  {empty_s:.2f} s for {KINETICS_ROWS} rows of which no file is there; at most "
              f"{KINETICS_BOUND_S} s are wanted", flush=True)
        paths = []
        for i in range(given.files):
            clip = given.clips / CLIPS[i % len(CLIPS)]
            path = folder / "clips" / f"class {i % 50}" / f"{i:06d}{clip.suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, path)
            paths.append(path)
        (folder / "c.yaml").write_text(
            "dataset: {type: folder, data_root: clips}\n"
            "network: {type: resnet50_3d, checkpoint: random, num_classes: 50}\n"
            "preprocess: {preset: kenshohara2018}\n")
        index_s = seconds([cfp, "index", "c.yaml", "--probe", "none"], folder)
        check_s = seconds([cfp, "check", "c.yaml"], folder)
        probed = paths[:given.probed]
        probe_s = sum(seconds(["ffprobe", "-v", "error", "-show_streams", str(path)], folder)
                      for path in probed) / len(probed)
        print(f"index  {index_s:.2f} s for {given.files} files")
        print(f"check  {check_s:.2f} s, {given.files / check_s:.0f} files a second")
        print(f"ffprobe {1000 * probe_s:.1f} ms a file: {probe_s * given.files / check_s:.0f} times "
              "as long")
    return 1 if empty_s > KINETICS_BOUND_S else 0


if __name__ == "__main__":
    sys.exit(main())
