#!/usr/bin/env python3
"""Trains a demo network on moving_shapes and writes configs/demo/NAME_moving_shapes.safetensors.

    scripts/train_demo.py                          # clips, training, evaluation, checkpoint
    scripts/train_demo.py --architecture i3d       # another network; see DEMOS
    scripts/train_demo.py --evaluate CHECKPOINT    # held-out accuracy of a checkpoint
    scripts/train_demo.py --evaluate CHECKPOINT --predictions predictions.csv
    scripts/train_demo.py --evaluate CHECKPOINT --record     # and write it into the metadata

The clips are made by the program `moving_shapes` of the build and decoded from their files, so the
network learns what the explaining program will show it.
"""

import argparse
import csv
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import torch
from torch import nn

from architectures import FAMILIES

ROOT = Path(__file__).resolve().parent.parent

CLASS_NAMES = ["translate left", "translate right", "translate up", "translate down", "rotate",
               "grow", "shrink", "blink", "still cross", "still ring"]
# Label of a clip after it was mirrored or played backwards; rotation has no direction in its label.
FLIPPED_LEFT_RIGHT = torch.tensor([1, 0, 2, 3, 4, 5, 6, 7, 8, 9])
FLIPPED_UP_DOWN = torch.tensor([0, 1, 3, 2, 4, 5, 6, 7, 8, 9])
PLAYED_BACKWARDS = torch.tensor([1, 0, 3, 2, 4, 6, 5, 7, 8, 9])

# What is trained: a name for its files, and what it takes, as in stages/network/builders.h. All begin
# with the same stem. Without a pool after it, the last layers still see some positions, so that what
# they look at can be seen.
STEM = {"stem_kernel": [3, 5, 5], "stem_stride": [2, 2, 2], "stem_pool": False}
DEMOS = {
    "resnet50_3d": ("resnet3d", {"blocks": [1, 2, 2, 1], "base_width": 8, "expansion": 4,
                                 "stem_channels": 16, **STEM}),
    "resnext101_3d": ("resnext101_3d", {"blocks": [1, 1, 2, 1], "base_width": 16, "expansion": 2,
                                        "groups": 8, "stem_channels": 16, **STEM}),
    "mfnet3d": ("mfnet3d", {"blocks": [1, 2, 2, 1], "base_width": 16, "groups": 4,
                            "stem_channels": 16, **STEM, "final_pool": [4, 4, 4]}),
    "i3d": ("i3d", {"blocks": [1, 3, 1], "base_width": 8, **STEM, "final_pool": [2, 4, 4]}),
}


def checkpoint_of(architecture):
    return ROOT / "configs" / "demo" / f"{DEMOS[architecture][0]}_moving_shapes.safetensors"


def build(architecture, overrides):
    """A network of FAMILIES with the memory layout that is fastest on a CPU."""
    network = FAMILIES[architecture](num_classes=len(CLASS_NAMES), **overrides)
    return network.to(memory_format=torch.channels_last_3d)


def run_tool(tool, folder, split, count, seed, *more):
    """Runs the program `moving_shapes`, which makes the clips that are not there yet."""
    subprocess.run(list(map(str, [tool, "--out", folder, "--split", split, "--count", count,
                                  "--seed", seed, *more])), check=True)


def make_clips(tool, folder, split, count, seed):
    """Makes clips; returns the rows of their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / f"{split}_{count}_seed{seed}.csv"
    run_tool(tool, folder, split, count, seed, "--manifest", manifest)
    with open(manifest, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def decode_for_training(path):
    """All frames of a file: [T, H, W, 3] uint8, by PyAV, which brings an FFmpeg of its own."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def decode_as_the_program_does(path):
    """The same by the system's FFmpeg, with the colour conversion of stages/decode: equal bytes.

    PyAV's FFmpeg places colour samples differently; a network hardly minds, but a comparison clip by
    clip does.
    """
    with av.open(str(path)) as container:
        width, height = container.streams.video[0].width, container.streams.video[0].height
    command = ["ffmpeg", "-v", "error", "-i", f"file:{path}", "-sws_flags",
               "bilinear+accurate_rnd+full_chroma_int", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(output, np.uint8).reshape(-1, height, width, 3)


def load(rows, decode):
    """Clips [N, T, H, W, 3] uint8 and labels [N] of a manifest's rows."""
    first = decode(rows[0]["path"])
    clips = np.empty((len(rows), *first.shape), np.uint8)
    for i, row in enumerate(rows):
        clips[i] = decode(row["path"])
    return torch.from_numpy(clips), torch.tensor([int(row["label"]) for row in rows])


def normalise(clips):
    """[B, T, H, W, 3] uint8 -> [B, 3, T, H, W] float32 in -1..1, as the preset `demo` says."""
    return (clips.permute(0, 4, 1, 2, 3).float() / 127.5 - 1).contiguous(
        memory_format=torch.channels_last_3d)


def augment(clips, labels, generator):
    """Mirrors, reverses and recolours clips [B, T, H, W, 3], each on its own; labels follow."""
    clips, labels = clips.clone(), labels.clone()
    for i in range(len(clips)):
        left_right, up_down, backwards, negative = torch.rand(4, generator=generator) < 0.5
        clip = clips[i]
        if left_right:
            clip, labels[i] = clip.flip(2), FLIPPED_LEFT_RIGHT[labels[i]]
        if up_down:
            clip, labels[i] = clip.flip(1), FLIPPED_UP_DOWN[labels[i]]
        if backwards:
            clip, labels[i] = clip.flip(0), PLAYED_BACKWARDS[labels[i]]
        if negative:
            clip = 255 - clip
        clips[i] = clip[..., torch.randperm(3, generator=generator)]
    return clips, labels


def train(network, clips, labels, options):
    """AdamW, one cycle of the learning rate, cross entropy; prints a line an epoch."""
    generator = torch.Generator().manual_seed(options.seed)
    steps = len(clips) // options.batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=options.rate, total_steps=options.epochs * steps, pct_start=0.2)
    begin = time.monotonic()
    for epoch in range(options.epochs):
        network.train()
        total_loss, correct = 0.0, 0
        order = torch.randperm(len(clips), generator=generator)
        for step in range(steps):
            chosen = order[step * options.batch:(step + 1) * options.batch]
            batch, target = augment(clips[chosen], labels[chosen], generator)
            logits = network(normalise(batch))
            loss = nn.functional.cross_entropy(logits, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total_loss += loss.item()
            correct += int((logits.argmax(1) == target).sum())
        print(f"epoch {epoch + 1}/{options.epochs}: loss {total_loss / steps:.4f}, "
              f"top-1 {correct / (steps * options.batch):.4f}, {time.monotonic() - begin:.0f} s",
              flush=True)


@torch.no_grad()
def predict(network, clips):
    """Logits [N, classes] of clips [N, T, H, W, 3]."""
    network.eval()
    return torch.cat([network(normalise(batch)) for batch in clips.split(32)])


def write_predictions(path, rows, logits):
    """One line a clip, to compare with another program's predictions clip by clip."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "label", "prediction"] + [f"logit_{c}" for c in CLASS_NAMES])
        for row, values in zip(rows, logits):
            writer.writerow([row["clip_id"], row["label"], int(values.argmax())] +
                            [f"{v:.6f}" for v in values.tolist()])


def save_safetensors(path, tensors, metadata):
    """The format in full: u64 length of a JSON header, the header, the tensors' bytes in its order."""
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().astype("<f4").tobytes())


def load_safetensors(path):
    """Tensors by name, and the metadata."""
    data = Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + length + begin:8 + length + end], "<f4")
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]).copy())
    return tensors, metadata


def evaluate(network, options):
    """Held-out accuracy, with a line a class; writes predictions where they are asked for."""
    rows = make_clips(options.tool, options.clips, "test", options.test_count, options.seed)
    clips, labels = load(rows, decode_as_the_program_does)
    logits = predict(network, clips)
    hits = logits.argmax(1) == labels
    for label, name in enumerate(CLASS_NAMES):
        print(f"  {name:16s} {hits[labels == label].float().mean():.4f}")
    accuracy = hits.float().mean().item()
    print(f"held-out top-1: {int(hits.sum())} of {len(hits)} = {accuracy:.4f}")
    if options.predictions:
        write_predictions(options.predictions, rows, logits)
    return accuracy


def accuracy_text(options, accuracy):
    return f"{accuracy:.4f} on {options.test_count} held-out clips"


def metadata_of(options, input_size, accuracy):
    """What the checkpoint says of itself: how to build and feed the network, and where it is from."""
    names = ("architecture", "train_count", "test_count", "epochs", "batch", "rate", "seed", "threads")
    arguments = [f"--{name.replace('_', '-')} {getattr(options, name)}" for name in names]
    return {"architecture": options.architecture,
            "overrides": json.dumps(DEMOS[options.architecture][1]),
            "num_classes": str(len(CLASS_NAMES)),
            "class_names": json.dumps(CLASS_NAMES),
            "preset": "demo",
            "input_size": json.dumps(input_size),
            "command": "scripts/train_demo.py " + " ".join(arguments),
            "seed": str(options.seed),
            "accuracy": accuracy_text(options, accuracy)}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", type=Path, default=ROOT / "build/release/bin/moving_shapes",
                        help="the program that makes clips (default: %(default)s)")
    parser.add_argument("--clips", type=Path, default=ROOT / ".cache/moving_shapes",
                        help="folder for the clips (default: %(default)s)")
    parser.add_argument("--architecture", choices=DEMOS, default="resnet50_3d",
                        help="what to train (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="the checkpoint (default: in configs/demo)")
    parser.add_argument("--evaluate", type=Path, metavar="CHECKPOINT",
                        help="train nothing; print the accuracy of this checkpoint")
    parser.add_argument("--record", action="store_true",
                        help="with --evaluate: write the accuracy into the checkpoint's metadata")
    parser.add_argument("--predictions", type=Path, metavar="CSV",
                        help="write label, prediction and logits of each held-out clip")
    parser.add_argument("--train-count", type=int, default=3000)
    parser.add_argument("--test-count", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1, help="of the clips and of the training")
    parser.add_argument("--threads", type=int, default=1,
                        help="more than one costs more than it saves on a network this small")
    options = parser.parse_args()
    if options.record and not options.evaluate:
        parser.error("--record needs --evaluate")
    return options


def load_network(checkpoint):
    """The network that a checkpoint's metadata name, with its weights; and what is in the file."""
    tensors, metadata = load_safetensors(checkpoint)
    network = build(metadata["architecture"], json.loads(metadata["overrides"]))
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    wrong = [n for n in missing if not n.endswith("num_batches_tracked")] + unexpected
    if wrong:
        sys.exit(f"{checkpoint}: not a demo network; missing or unexpected: {wrong}")
    return network, tensors, metadata


def evaluate_checkpoint(options):
    network, tensors, metadata = load_network(options.evaluate)
    accuracy = evaluate(network, options)
    if options.record:
        metadata["accuracy"] = accuracy_text(options, accuracy)
        save_safetensors(options.evaluate, tensors, metadata)


def train_checkpoint(options):
    torch.manual_seed(options.seed)
    network = build(options.architecture, DEMOS[options.architecture][1])
    print(f"{sum(p.numel() for p in network.parameters())} parameters", flush=True)
    rows = make_clips(options.tool, options.clips, "train", options.train_count, options.seed)
    clips, labels = load(rows, decode_for_training)
    train(network, clips, labels, options)
    accuracy = evaluate(network, options)
    tensors = {name: tensor.detach().float() for name, tensor in network.state_dict().items()
               if not name.endswith("num_batches_tracked")}
    out = options.out or checkpoint_of(options.architecture)
    save_safetensors(out, tensors, metadata_of(options, list(clips.shape[1:4]), accuracy))
    print(f"wrote {out}")


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    if options.evaluate:
        evaluate_checkpoint(options)
    else:
        train_checkpoint(options)


if __name__ == "__main__":
    main()
