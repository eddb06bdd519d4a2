#!/usr/bin/env python3
"""Exports small networks for tests/golden/exported_test.cpp, and what PyTorch says of them.

    export_networks.py FOLDER [NAME…]

For each network: NAME.pt2 and NAME.decomposed.pt2 (torch.export), NAME.pth (its state dict), and
NAME.values.pth: a clip, the logits, and every layer's output, computed in float64.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from other_networks import OTHERS
from published_networks import PUBLISHED

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d, nn.Linear)


def fill(module, generator):
    """Weights that keep activations moderate; running statistics that are not the defaults."""
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            tensor.uniform_(-0.2, 0.2, generator=generator)
        elif tensor.dim() >= 2 and tensor.is_floating_point() and "scale" not in name:
            bound = (6 / tensor[0].numel()) ** 0.5
            tensor.uniform_(-bound, bound, generator=generator)
        elif name.endswith("weight"):
            tensor.uniform_(0.5, 1, generator=generator)


def values_of(module, clip):
    """Logits before a last softmax or sigmoid, and every layer's output."""
    found = {"input": clip}
    hooks = [layer.register_forward_hook(
        lambda _, __, output, name=name: found.__setitem__(f"layer:{name}", output.clone()))
        for name, layer in module.named_modules() if isinstance(layer, LAYERS)]
    with torch.no_grad():
        output = module(clip)
    for hook in hooks:
        hook.remove()
    found["output"] = output[0] if isinstance(output, tuple) else output
    return {name: value.detach().contiguous() for name, value in found.items()}


def export(folder, name, factory, size):
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    module = factory().eval()
    fill(module, generator)
    clip = torch.rand((1, 3, *size), generator=generator) * 2 - 1
    torch.save(module.state_dict(), folder / f"{name}.pth")
    program = torch.export.export(module, (clip,))
    torch.export.save(program, folder / f"{name}.pt2")
    torch.export.save(program.run_decompositions(), folder / f"{name}.decomposed.pt2")
    values = values_of(module.double(), clip.double())
    torch.save(values, folder / f"{name}.values.pth")


def main():
    folder = Path(sys.argv[1])
    networks = PUBLISHED | OTHERS
    torch.set_num_threads(1)
    for name in sys.argv[2:] or networks:
        export(folder, name, *networks[name])


if __name__ == "__main__":
    main()
