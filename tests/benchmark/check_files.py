#!/usr/bin/env python3
"""Times `cfp check` (headers) and `cfp index` over many files, beside ffprobe on the same files.

    check_files.py --cfp build/release/bin/cfp --clips ../shared/data/clips --files 20000

Prints seconds, files a second, and how many times as long ffprobe takes a file, one process each, as
scripts use it. Files are copies of the given clips, so that none is met twice.
"""

import argparse
import pathlib
import shutil
import subprocess
import tempfile
import time

CLIPS = ("h265_video.mp4", "av1_video.mkv", "rotated_90.mov", "flipping_a_pancake.mkv")


def seconds(command, folder):
    start = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return time.monotonic() - start


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


if __name__ == "__main__":
    main()
