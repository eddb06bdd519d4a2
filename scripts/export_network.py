#!/usr/bin/env python3
"""Exports any PyTorch network of video clips, so that cfp explains it without Python.

    scripts/export_network.py --module my_models.x3d:build --size 16 224 224 x3d.pt2
    scripts/export_network.py --module my_models.x3d:build --weights x3d.pth --size 16 224 224 x3d.pt2

These are the three lines of it, for a script of your own:

    network = build().eval()
    program = torch.export.export(network, (torch.zeros(1, 3, 16, 224, 224),))
    torch.export.save(program, "x3d.pt2")

The config then says `network: {type: exported, file: x3d.pt2}`; `cfp inspect x3d.pt2` lists the layers.
"""

import argparse
import importlib
import sys
from pathlib import Path

import torch


def build(reference):
    """Calls what `package.module:factory` names; a folder that stands beside it counts, too."""
    module, _, factory = reference.partition(":")
    if not factory:
        sys.exit(f"--module {reference}: write package.module:factory")
    sys.path.insert(0, str(Path.cwd()))
    network = getattr(importlib.import_module(module), factory)
    network = network() if not isinstance(network, torch.nn.Module) else network
    if not isinstance(network, torch.nn.Module):
        sys.exit(f"--module {reference}: gives a {type(network).__name__}, not a torch.nn.Module")
    return network


def load_weights(network, path):
    """A state dict, or a checkpoint that holds one; `module.` of DataParallel is stripped."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model", "model_state"):
        if isinstance(state.get(key), dict):
            state = state[key]
    network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", required=True, metavar="PACKAGE.MODULE:FACTORY",
                        help="function or class that makes the network, or the network itself")
    parser.add_argument("--weights", help="state dict to load first")
    parser.add_argument("--size", type=int, nargs=3, default=[16, 224, 224],
                        metavar=("T", "H", "W"), help="size of the clips, which is then fixed")
    parser.add_argument("file", help="archive to write, such as network.pt2")
    arguments = parser.parse_args()

    network = build(arguments.module).cpu().float().eval()
    if arguments.weights:
        load_weights(network, arguments.weights)
    program = torch.export.export(network, (torch.zeros(1, 3, *arguments.size),))
    torch.export.save(program, arguments.file)
    print(f"{arguments.file}: clips of {'x'.join(map(str, arguments.size))}; next: "
          f"cfp inspect {arguments.file}")


if __name__ == "__main__":
    main()
