"""What `cfp run` said of the demo's clips: starts it, and reads its part as PyTorch tensors."""

import subprocess

import h5py
import numpy as np
import torch


def explain(options, checkpoint, name, settings):
    """Runs cfp on the held-out clips with the demo's config; returns what its part says.

    @param name      folder of the run below options.work
    @param settings  config keys and values beside those of configs/demo.yaml
    """
    folder = options.work / name
    settings = {"network.checkpoint": checkpoint, "dataset.data_root": options.clips,
                "dataset.count": options.count, "dataset.seed": options.seed,
                "explain.target": "prediction", "explain.depth": "all", "output.work_dir": folder,
                "output.summary_clips": 0, "output.part_clips": 1_000_000, "runtime.threads_per_device": options.threads,
                **settings}
    command = [options.cfp, "run", options.config, *[f"{k}={v}" for k, v in settings.items()]]
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{result.stdout}")
    return Explained(folder / "part-00000.h5")


class Explained:
    """A part, one target a clip; docs/results.md tells what is in it."""

    def __init__(self, path):
        self.file = h5py.File(path)
        names = self.file["layers/name"].asstr()[:]
        self.groups = dict(zip(names, self.file["layers/group"].asstr()[:]))
        self.depth = dict(zip(names, self.file["layers/depth"][:].tolist()))
        self.clip_ids = self.file["clips/clip_id"].asstr()[:].tolist()
        self.targets = self.file["targets/class_index"][:, 0].tolist()
        self.logits = torch.from_numpy(self.file["logits"][:])

    def channels(self, layer, what):
        """[N, C] `score` or `found` of the tensor that enters a layer."""
        values = self.file["pyramid"][self.groups[layer]]["channels"][what][:, 0]
        return torch.from_numpy(values).float()

    def tubes(self, layer):
        """[N, t, h, w]"""
        return torch.from_numpy(self.file["tubes"][self.groups[layer]]["values"][:, 0])

    def edges(self, layer, clip):
        """Kernels, channels and scores of the edges of one clip, three arrays of one length."""
        edges = self.file["pyramid"][self.groups[layer]]["edges"]
        begin, end = (int(i) for i in edges["range"][clip, 0])
        return (edges["kernel"][begin:end].astype(np.int64),
                edges["channel"][begin:end].astype(np.int64), edges["score"][begin:end])

    def received(self, layers, count):
        """[N, C] the sum of the scores of the edges that lead from each channel into these layers."""
        sums = np.zeros((len(self.clip_ids), count))
        for clip in range(len(sums)):
            for layer in layers:
                _, channels, scores = self.edges(layer, clip)
                sums[clip] += np.bincount(channels, scores, minlength=count)
        return torch.from_numpy(sums).float()

    def edge_scores(self, layer, clip, kernels, channels, groups):
        """[C_out, C_in/groups] scores of a layer's edges; minus infinity where there is none."""
        scores = torch.full((kernels, channels // groups), -torch.inf)
        kernel, channel, score = self.edges(layer, clip)
        scores[kernel, channel % (channels // groups)] = torch.from_numpy(score)
        return scores
