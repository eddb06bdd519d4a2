"""Draws a clip's tubes anew from the part and the media, and compares with what cfp rendered.

    check_render.py WORK_DIR MEDIA CROP

The media file is lossless and the clip a centre crop of CROP pixels that was not resized. Prints
`<pictures> pictures, <videos> videos`.
"""

import csv
import sys
from pathlib import Path

import av
import h5py
import numpy as np
import torch

STOPS = np.array([0, 0.25, 0.5, 0.75, 1])
COLOURS = np.array([[0, 0, 0], [84, 20, 120], [196, 52, 84], [246, 146, 36], [252, 250, 170]])


def decoded(path):
    """Frames [T, H, W, 3] and their times in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pairs = [(frame.to_ndarray(format="rgb24"), float(frame.pts * stream.time_base))
                 for frame in container.decode(stream)]
    return np.stack([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


def clip_frames(media, times, crop):
    """The frames of the clip: those shown at its times, cropped."""
    frames, at = decoded(media)
    at = at - at[0]
    chosen = [int(np.abs(at - time).argmin()) for time in times]
    assert np.allclose(at[chosen], times, atol=1e-6)
    top, left = (frames.shape[1] - crop) // 2, (frames.shape[2] - crop) // 2
    return frames[chosen, top:top + crop, left:left + crop].astype(np.float64)


def heat_of(tube, shape):
    tube = torch.from_numpy(tube.astype(np.float32))[None, None]
    heat = torch.nn.functional.interpolate(tube, size=shape, mode="trilinear",
                                           align_corners=False)[0, 0].numpy().astype(np.float64)
    if tube.min() == tube.max():
        return np.zeros_like(heat)
    return (heat - heat.min()) / (heat.max() - heat.min())


def drawn(frames, heat, style):
    heat = heat[..., None]
    if style == "focus":
        return frames * (0.1 + 0.9 * np.sqrt(heat))
    colour = np.concatenate([np.interp(heat, STOPS, COLOURS[:, c]) for c in range(3)], axis=-1)
    return frames * (1 - 0.75 * heat) + colour.round() * 0.75 * heat


def check_pictures(folder, want):
    files = sorted(folder.glob("*.png"))
    assert [file.name for file in files] == [f"{t:03}.png" for t in range(len(want))], files
    have = np.concatenate([decoded(file)[0] for file in files]).astype(np.float64)
    off = np.abs(have - want)
    # Half a level of rounding; and where a colour lies at a half, float32 may round it the other way,
    # of which three quarters show. Rounding alone is a quarter of a level in the mean.
    assert off.max() <= 1.26 and off.mean() <= 0.27, (off.max(), off.mean())


def check_video(file, want, times):
    have, at = decoded(file)
    have = have[:, :want.shape[1], :want.shape[2]]
    assert len(have) == len(want), file
    shown = times - times[0]
    assert np.abs(at - shown).max() <= 1 / 60000, (at, shown)
    # Lossy: the colours of two pixels are one, and the quantiser takes its part.
    assert np.abs(have - want).mean() < 12, (file, np.abs(have - want).mean())


def main():
    work_dir, media, crop = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    counts = {"pictures": 0, "videos": 0}
    with h5py.File(work_dir / "part-00000.h5") as part, \
            open(work_dir / "overlays/listing.csv", encoding="utf-8", newline="") as listing:
        groups = dict(zip(part["layers/name"].asstr(), part["layers/group"].asstr()))
        ids = list(part["clips/clip_id"].asstr())
        for row in csv.DictReader(listing):
            index = ids.index(row["clip_id"])
            times = part["frame_times"][index]
            tube = part["tubes"][groups[row["layer"]]]
            values = tube["values"][index, 0]
            assert np.float32(row["minimum"]) == tube["minimum"][index, 0]
            assert np.float32(row["maximum"]) == tube["maximum"][index, 0]
            assert row["tube_size"] == "x".join(str(side) for side in values.shape)
            assert row["status"] == ("constant" if np.ptp(values) == 0 else "drawn"), row
            frames = clip_frames(media, times, crop)
            if row["style"] == "sheet":
                continue
            want = drawn(frames, heat_of(values, frames.shape[:3]), row["style"])
            path = work_dir / "overlays" / row["file"]
            if row["file"].endswith("/"):
                check_pictures(path, want)
                counts["pictures"] += len(want)
            else:
                check_video(path, want, times)
                counts["videos"] += 1
    print(", ".join(f"{count} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
