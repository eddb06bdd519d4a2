#!/usr/bin/env python3
"""Writes checkpoints with PyTorch, and reads safetensors with nothing but struct and json.

    make_checkpoints.py valid FOLDER       <case>.pth and, as PyTorch reads it, <case>.txt
    make_checkpoints.py forbidden FOLDER   files that hold more than tensors: <case>.pth, and in
                                           <case>.txt a text that the refusal must contain
    make_checkpoints.py dump FILE          prints a safetensors file in the format of <case>.txt

A line of <case>.txt is a tensor: name, type, shape, and its values as C's %a prints them.
"""

import json
import struct
import sys
from collections import OrderedDict
from pathlib import Path

LETTERS = {"F32": ("float32", "f"), "F64": ("float64", "d"), "I64": ("int64", "q"),
           "I32": ("int32", "i"), "U8": ("uint8", "B")}


def line_of(name, dtype, shape, values):
    return "\t".join([name, dtype, "x".join(map(str, shape)),
                      " ".join(float(v).hex() for v in values)])


def dump_safetensors(path):
    raw = Path(path).read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    for key, value in sorted(header.pop("__metadata__", {}).items()):
        print("metadata", key, value, sep="\t")
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype, letter = LETTERS[entry["dtype"]]
        count = (end - begin) // struct.calcsize(letter)
        values = struct.unpack(f"<{count}{letter}", raw[8 + size + begin:8 + size + end])
        print(line_of(name, dtype, entry["shape"], values))


class Cases:
    def __init__(self, folder, torch):
        self.folder = folder
        self.torch = torch

    def expect(self, name, tensors):
        lines = []
        for key, tensor in tensors.items():
            dtype = str(tensor.dtype).removeprefix("torch.")
            values = tensor.detach().double().flatten().tolist()
            lines.append(line_of(key, dtype, tensor.shape, values))
        (self.folder / f"{name}.txt").write_text("\n".join(lines) + "\n")

    def save(self, name, value, tensors, protocol=2, **options):
        """Saves in both containers."""
        for container, new in (("legacy", False), ("zip", True)):
            path = self.folder / f"{name}.{container}.pth"
            self.torch.save(value, path, pickle_protocol=protocol,
                            _use_new_zipfile_serialization=new, **options)
            self.expect(f"{name}.{container}", tensors)


def small_tensors(torch):
    return OrderedDict([
        ("conv.weight", torch.linspace(-1, 1, 24).reshape(2, 3, 1, 2, 2)),
        ("bn.weight", torch.tensor([0.5, 1e-30])),
        ("bn.num_batches_tracked", torch.tensor(7)),
    ])


def save_types(cases, torch):
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64,
                  torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        values = [0, 1, 100, 3] if dtype in (torch.uint8, torch.bool) else [-3, 0, 1, 100]
        tensors = {"a": torch.tensor(values).to(dtype), "b": torch.tensor(1).to(dtype)}
        if dtype == torch.float16:  # every finite one
            halves = torch.arange(-32768, 32768).to(torch.int16).view(torch.float16)
            tensors["edge"] = halves[halves.isfinite()]
        if dtype == torch.bfloat16:
            tensors["edge"] = torch.tensor([1e-40, 3e38, -0.0, 1 / 3], dtype=dtype)
        cases.save(f"type_{str(dtype).removeprefix('torch.')}", tensors, tensors)


def save_wrapped(cases, torch):
    import numpy

    weights = small_tensors(torch)
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    parameter.sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5])
    for wrapper in ("state_dict", "model", "model_state", "net"):
        for prefix in ("", "module.", "module.module."):
            tensors = OrderedDict((prefix + k, v) for k, v in weights.items())
            value = {"epoch": 5, "arch": "resnet-50", "best": numpy.float64(71.5),
                     "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
                     wrapper: tensors}
            cases.save(f"wrapped_{wrapper}_{prefix.count('.')}", value, tensors)


def save_views(cases, torch):
    base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    tensors = OrderedDict([
        ("base", base),
        ("transposed", base.permute(2, 0, 1)),
        ("slice", base[1:, 2, ::2]),
        ("row", base[2]),
        ("expanded", torch.tensor([2.0]).expand(3, 2)),
        ("number", base[1, 1, 1]),
        ("empty", torch.zeros(0, 3)),
        ("parameter", torch.nn.Parameter(base[0] * 0.25)),
        ("channels_last", torch.arange(48.0).reshape(1, 2, 2, 3, 4)
         .contiguous(memory_format=torch.channels_last_3d)),
    ])
    cases.save("views", tensors, tensors)


def save_protocols(cases, torch):
    weights = small_tensors(torch)
    for protocol in (2, 3, 4, 5):
        cases.save(f"protocol_{protocol}", {"state_dict": weights, "size": weights["bn.weight"].shape},
                   weights, protocol=protocol)
    torch.serialization.set_crc32_options(False)
    cases.save("without_checksum", weights, weights)
    torch.serialization.set_crc32_options(True)


class Runs:
    """What a hostile file holds: loading it with Python would run a command."""

    def __init__(self, function, arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def save_forbidden(folder, torch):
    import os
    import subprocess

    marker = folder / "executed"
    cases = {
        "system": ({"a": Runs(os.system, (f"touch {marker}",))}, "posix system"),
        "eval": ({"a": Runs(eval, (f"open({str(marker)!r}, 'w')",))}, "eval"),
        "popen": ({"a": Runs(subprocess.Popen, (["touch", str(marker)],))}, " Popen"),
        "getattr": ({"a": Runs(getattr, ("x", "upper"))}, "getattr"),
        "model": (torch.nn.Sequential(torch.nn.Linear(2, 2)), "state_dict()"),
        "complex": ({"a": torch.zeros(2, dtype=torch.complex64)}, "ComplexFloatStorage"),
        "sparse": ({"a": torch.eye(2).to_sparse()}, "_rebuild_sparse_tensor"),
        "set": ({"a": {1, 2}, "b": torch.zeros(1)}, "set"),
        "tensor": (torch.zeros(3), "one tensor"),
        "list": ([torch.zeros(3)], "no dictionary"),
        "nothing": ({"state_dict": {}, "epoch": 3}, "no tensors"),
    }
    for name, (value, text) in cases.items():
        for container, new in (("legacy", False), ("zip", True)):
            for protocol in (2, 4):
                stem = f"{name}.{container}.{protocol}"
                torch.save(value, folder / f"{stem}.pth", pickle_protocol=protocol,
                           _use_new_zipfile_serialization=new)
                (folder / f"{stem}.txt").write_text(text)
    script = folder / "script.pth"
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), script)
    (folder / "script.txt").write_text("TorchScript")


def main():
    action, target = sys.argv[1:]
    if action == "dump":
        return dump_safetensors(target)
    import warnings

    import torch

    warnings.simplefilter("ignore")
    folder = Path(target)
    if action == "forbidden":
        return save_forbidden(folder, torch)
    cases = Cases(folder, torch)
    for save in (save_types, save_wrapped, save_views, save_protocols):
        save(cases, torch)


if __name__ == "__main__":
    main()
