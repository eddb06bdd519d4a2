#!/usr/bin/env python3
"""Does the method find the kernels that matter? Writes the tables of docs/method.md, section 8.

    scripts/faithfulness.py                          # all demo networks, 100 held-out clips, all tables
    scripts/faithfulness.py --networks i3d --count 20
    scripts/faithfulness.py --check --networks resnet50_3d --count 50

cfp ranks the channels and edges of every layer, and PyTorch takes the best of them away. What is
explained is each clip's prediction. --check tests instead that zeroing the found channels of a tensor
lowers the target more than zeroing as many random ones, and that keeping only them keeps more.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import train_demo
from evaluation import effects
from evaluation.effects import CHANGES, RANKINGS, SCORERS, SHARES

DEPTHS = ("late", "middle", "early")


def load_clips(options):
    """Clips [N, 3, T, H, W] as the networks take them."""
    rows = train_demo.make_clips(options.tool, options.clips, "test", options.count, options.seed)
    clips, _ = train_demo.load(rows, train_demo.decode_as_the_program_does)
    return train_demo.normalise(clips)


def load_masks(options, clips):
    """[N, T, H, W] 1 where the acting shape is."""
    path = options.work / "masks.bin"
    train_demo.run_tool(options.tool, options.clips, "test", options.count, options.seed,
                        "--masks", path)
    shape = (len(clips), *clips.shape[2:])
    return torch.from_numpy(np.fromfile(path, np.uint8).reshape(shape)).float()


def depth_groups(depths):
    """The third of 2..deepest in which each depth lies, as its index in DEPTHS."""
    return torch.tensor([(depth - 2) * len(DEPTHS) // (max(depths) - 1) for depth in depths])


def by_depth(values, depths):
    """[groups, N, …] of [N, tensors, …]: the mean over the tensors of each group."""
    groups = depth_groups(depths)
    return torch.stack([values[:, groups == g].mean(1) for g in range(len(DEPTHS))])


# ---------------------------------------------------------------------------------------- measuring


class Measured:
    """All figures of one network, a clip each: what is lost, and for `alone kept` what is left."""

    def __init__(self, options, architecture, clips, masks):
        subject = effects.Subject(options, architecture)
        parts = {name: subject.explain(name, **{"explain.threshold": 0, "explain.tubes": "none"})
                 for name in SCORERS}
        base = subject.base(parts["gradient"], clips)

        tensors = subject.tensors(parts["gradient"])
        self.depths = [depth for _, _, depth in tensors]
        channels = effects.channel_effects(subject, parts, tensors, clips)
        self.p_c = base[:, 0]
        self.left = by_depth(channels, self.depths)
        self.lost = base.view(len(base), 1, 1, 1, 2) - self.left

        layers = [layer for _, readers, _ in tensors for layer in readers]
        layer_depths = [parts["gradient"].depth[layer] for layer in layers]
        self.edge_names, edges = effects.edge_effects(subject, parts, layers, clips)
        self.edges_lost = base[:, None] - by_depth(edges, layer_depths)

        self.tubes = [effects.tube_effects(subject, parts["gradient"].targets, layer, clips, masks)
                      for layer in effects.TUBE_LAYERS[architecture]]


# ------------------------------------------------------------------------------------------ tables


def cell(values, digits):
    """Mean and standard error of one number a clip."""
    return f"{values.mean():.{digits}f} ± {values.std() / len(values) ** 0.5:.{digits}f}"


def print_table(title, header, rows):
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def print_depths(measured):
    for name, figures in measured.items():
        groups = depth_groups(figures.depths)
        texts = []
        for g, depth in enumerate(DEPTHS):
            of_group = torch.tensor(figures.depths)[groups == g]
            texts.append(f"{depth} {of_group.min()}–{of_group.max()} ({len(of_group)} tensors)")
        print(f"{name}: p_c {cell(figures.p_c, 3)}; depths: {', '.join(texts)}")


def print_channels(measured):
    """Means over the networks, by depth; a table a kind of change."""
    lost = torch.stack([figures.lost for figures in measured.values()]).mean(0)
    left = torch.stack([figures.left for figures in measured.values()]).mean(0)
    for c, change in enumerate(CHANGES):
        kept = change == "alone kept"
        columns = [(left, m, s) if kept else (lost, m, s)
                   for m in range(1 if kept else 2) for s in range(len(SHARES))]
        header = ["depth", "channels by"] + [f"{'log-odds' if m else 'p_c'}, {SHARES[s]:.0%}"
                                             for _, m, s in columns]
        rows = [[depth, name] + [cell(of[g, :, r, c, s, m], 2 if m else 3) for of, m, s in columns]
                for g, depth in enumerate(DEPTHS) for r, name in enumerate(RANKINGS)]
        title = ("p_c when the first channels alone are kept:" if kept
                 else f"Drop when the first channels are {change}:")
        print_table(title, header, rows)


def print_networks(title, names, digits, columns):
    """A row a name, a column a network: columns {network: [N, names]}."""
    print_table(title, ["", *columns],
                [[name] + [cell(values[:, row], digits) for values in columns.values()]
                 for row, name in enumerate(names)])


def print_all(measured):
    print_depths(measured)
    print_channels(measured)
    # All depths alike: the mean over the three groups, at 10 % zeroed and 20 % kept.
    print_networks("Drop of log-odds, first 10 % of channels zeroed, all depths:", RANKINGS, 2,
                   {name: f.lost[:, :, :, 0, 1, 1].mean(0) for name, f in measured.items()})
    print_networks("p_c when the first 20 % of channels alone are kept, all depths:", RANKINGS, 3,
                   {name: f.left[:, :, :, 2, 2, 0].mean(0) for name, f in measured.items()})
    edges = torch.stack([figures.edges_lost for figures in measured.values()]).mean(0)
    names = next(iter(measured.values())).edge_names
    print_networks("Drop of log-odds without the best 5 % of a layer's edges, by depth:", names, 2,
                   {depth: edges[g, :, :, 1] for g, depth in enumerate(DEPTHS)})
    print_networks("The same by network:", names, 2,
                   {name: f.edges_lost[:, :, :, 1].mean(0) for name, f in measured.items()})
    for stage, where in enumerate(("one stage", "two stages")):
        names = next(iter(measured.values())).tubes[stage][0]
        tubes = {name: figures.tubes[stage][1] for name, figures in measured.items()}
        print_networks(f"Tubes {where} before the last: mean p_c while 5 to 30 % of voxels are "
                       "deleted (lower is better):", names, 3,
                       {name: values[:, :, 0] for name, values in tubes.items()})
        print_networks(f"Tubes {where} before the last: mass inside the true mask:", names, 3,
                       {name: values[:, :, 1] for name, values in tubes.items()})


# ------------------------------------------------------------------------------------------- check


def check(options, architecture, clips):
    """Whether found channels matter more than random ones at every depth; prints by how much."""
    subject = effects.Subject(options, architecture)
    part = subject.explain("gradient", **{"explain.tubes": "none", "output.edges": "false"})
    subject.base(part, clips)
    tensors = subject.tensors(part)
    target = by_depth(effects.found_effects(subject, part, tensors, clips),
                      [depth for _, _, depth in tensors])
    passed = True
    for change, sign in ((0, 1), (1, -1)):
        for g, depth in enumerate(DEPTHS):
            found, random = target[g, :, change, 0], target[g, :, change, 1]
            better = sign * (random - found)
            # Three standard errors: chance alone would fail one check in several hundred.
            passed &= bool(better.mean() > 3 * better.std() / len(better) ** 0.5)
            print(f"{architecture}, {depth}, {('zeroed', 'alone kept')[change]}: target "
                  f"{cell(found, 2)} (found), {cell(random, 2)} (random), by {cell(better, 2)}")
    return passed


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    root = train_demo.ROOT
    parser.add_argument("--networks", nargs="+", choices=train_demo.DEMOS,
                        default=list(train_demo.DEMOS))
    parser.add_argument("--count", type=int, default=100, help="held-out clips, ten classes in turn")
    parser.add_argument("--check", action="store_true", help="test found channels; exit code 1: no")
    parser.add_argument("--cfp", type=Path, default=root / "build/release/bin/cfp")
    parser.add_argument("--tool", type=Path, default=root / "build/release/bin/moving_shapes")
    parser.add_argument("--clips", type=Path, default=root / ".cache/moving_shapes",
                        help="folder for the clips (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the clips and of random channels")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.config = root / "configs/demo.yaml"
    return options


@torch.no_grad()
def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        options.work = Path(folder)
        clips = load_clips(options)
        if options.check:
            sys.exit(0 if all([check(options, name, clips) for name in options.networks]) else 1)
        masks = load_masks(options, clips)
        print_all({name: Measured(options, name, clips, masks) for name in options.networks})


if __name__ == "__main__":
    main()
