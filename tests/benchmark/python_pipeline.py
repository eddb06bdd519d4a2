"""Clips as a usual Python project loads them: OpenCV in the processes of a DataLoader.

Frames are read one after the other up to the last that is wanted, and converted only if they are:
seeking with OpenCV would be slower, and not exact.
"""

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Clips(Dataset):
    """Each item is a clip [3, T, H, W] of float32, from the middle of a file."""

    def __init__(self, settings, length):
        self.settings = settings
        self.wanted = settings["frame_interval"] * np.arange(length)
        self.scale = np.asarray(settings["scale"], np.float32)
        self.offset = np.asarray(settings["offset"], np.float32)

    def __len__(self):
        return len(self.settings["files"])

    def __getitem__(self, index):
        video = cv2.VideoCapture(self.settings["files"][index])
        total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        first = max(0, total - self.wanted[-1] - 1) // 2
        wanted = set(first + self.wanted)
        frames = []
        for number in range(first + self.wanted[-1] + 1):
            if not video.grab():
                raise ValueError(f"{self.settings['files'][index]}: no frame {number}")
            if number in wanted:
                frames.append(self.resized(cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB)))
        clip = np.stack(frames).astype(np.float32) * self.scale + self.offset
        return torch.from_numpy(clip.transpose(3, 0, 1, 2).copy())

    def resized(self, frame):
        size, crop = self.settings["resize"], self.settings["crop"]
        height, width = frame.shape[:2]
        if self.settings["keeps_aspect"]:
            shorter = min(height, width)
            height, width = size * height // shorter, size * width // shorter
        else:
            height = width = size
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
        top, left = (height - crop) // 2, (width - crop) // 2
        return frame[top:top + crop, left:left + crop]


def batches_of_clips(settings, length):
    return DataLoader(Clips(settings, length), batch_size=settings["batch_size"],
                      num_workers=settings["workers"],
                      worker_init_fn=lambda _: cv2.setNumThreads(1))
