"""A second parser of EGTEA's gaze files, by cell positions: `frame x y event samples` a line.

The last line is the mean of (time since the first sample) * 24 - frame over the first 300 samples.
"""

import sys
from collections import defaultdict

rows = [line.rstrip("\r\n").split("\t") for line in open(sys.argv[1])][34:]
frames, offsets = defaultdict(list), []
for cells in rows:
    if len(cells) == 8:
        frame, x, y = int(cells[5]) - 1, cells[3], cells[4]
    else:
        hours, minutes, seconds, rest = map(int, cells[-3].split(":"))
        frame, x, y = ((hours * 60 + minutes) * 60 + seconds) * 24 + rest, cells[5], cells[6]
    offsets.append((int(cells[0]) - int(rows[0][0])) * 24e-6 - frame)
    if "NaN" not in (x, y):
        frames[frame].append((cells[-1].lower(), float(x), float(y)))
for frame, samples in sorted(frames.items()):
    kinds = [kind if kind in ("fixation", "saccade") else "other" for kind, _, _ in samples]
    kind = max(("fixation", "saccade", "other"), key=kinds.count)
    chosen = [sample for sample, other in zip(samples, kinds) if other == kind]
    x, y = (sum(sample[axis] for sample in chosen) / len(chosen) for axis in (1, 2))
    print(f"{frame} {x:.6f} {y:.6f} {kind} {len(chosen)}")
print(f"{sum(offsets[:300]) / 300:.3f}")
