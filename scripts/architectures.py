"""The built-in architectures as PyTorch modules, with the public checkpoints' names of tensors.

What a network takes, and how it is called, is as in stages/network/builders.h: the same numbers give
the same graph, which tests/golden/exported_test.cpp checks. scripts/train_demo.py trains narrow ones.

    network = FAMILIES["resnet50_3d"](blocks=(1, 2, 2, 1), base_width=8, num_classes=10)
"""

import torch
import torch.nn.functional as F
from torch import nn


def half(kernel):
    """The padding that keeps the size, of an odd kernel."""
    return [k // 2 for k in kernel]


class Bottleneck(nn.Module):
    """1x1x1, 3x3x3 with the stride, 1x1x1; shortcut of convolution and BatchNorm where shapes change."""

    def __init__(self, channels, width, expansion, stride, groups):
        super().__init__()
        out = width * expansion
        self.conv1 = nn.Conv3d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv3d(channels, out, 1, stride, bias=False),
                                            nn.BatchNorm3d(out))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet3d(nn.Module):
    """[B, 3, T, H, W] -> [B, num_classes]; the 3D ResNets and ResNeXts of Hara et al."""

    def __init__(self, blocks, base_width=64, expansion=4, groups=1, stem_channels=64,
                 stem_kernel=(7, 7, 7), stem_stride=(1, 2, 2), stem_pool=True, num_classes=400):
        super().__init__()
        self.conv1 = nn.Conv3d(3, stem_channels, stem_kernel, stem_stride, half(stem_kernel),
                               bias=False)
        self.bn1 = nn.BatchNorm3d(stem_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, 2, 1) if stem_pool else nn.Identity()
        channels = stem_channels
        for stage, count in enumerate(blocks):
            width = base_width * 2**stage
            units = []
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                units.append(Bottleneck(channels, width, expansion, stride, groups))
                channels = width * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*units))
        self.stages = len(blocks)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialise(self)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(self.avgpool(x).flatten(1))


class PreActivation(nn.Module):
    """BatchNorm, ReLU, convolution."""

    def __init__(self, channels, out, kernel=(1, 1, 1), stride=(1, 1, 1), groups=1):
        super().__init__()
        self.bn = nn.BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv3d(channels, out, kernel, stride, half(kernel), groups=groups, bias=False)

    def forward(self, x):
        return self.conv(self.relu(self.bn(x)))


class MultiFiber(nn.Module):
    """m2(m1(x + i2(i1(x)))) + shortcut; i1 and i2 let the fibres exchange."""

    def __init__(self, channels, width, stride, first, groups):
        super().__init__()
        self.conv_i1 = PreActivation(channels, width // 4)
        self.conv_i2 = PreActivation(width // 4, channels)
        self.conv_m1 = PreActivation(channels, width, (3, 3, 3), stride, groups)
        self.conv_m2 = (PreActivation(width, width) if first
                        else PreActivation(width, width, (1, 3, 3), groups=groups))
        self.conv_w1 = PreActivation(channels, width, stride=stride) if first else None

    def forward(self, x):
        y = self.conv_i2(self.conv_i1(x)) + x
        y = self.conv_m2(self.conv_m1(y))
        return y + (x if self.conv_w1 is None else self.conv_w1(x))


class MfNet3d(nn.Module):
    """[B, 3, T, H, W] -> [B, num_classes]; final_pool is what is left of the clip at the end."""

    def __init__(self, blocks=(3, 4, 6, 3), base_width=96, groups=16, stem_channels=16,
                 stem_kernel=(3, 5, 5), stem_stride=(1, 2, 2), stem_pool=True,
                 final_pool=(8, 7, 7), num_classes=400):
        super().__init__()
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv", nn.Conv3d(3, stem_channels, stem_kernel, stem_stride,
                                                half(stem_kernel), bias=False))
        self.conv1.add_module("bn", nn.BatchNorm3d(stem_channels))
        self.conv1.add_module("relu", nn.ReLU(inplace=True))
        self.maxpool = (nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)) if stem_pool
                        else nn.Identity())
        channels = stem_channels
        for stage, count in enumerate(blocks):
            width = base_width * 2**stage
            units = nn.Sequential()
            for block in range(count):
                shrink = (2, 1, 1) if stage == 0 else (1, 2, 2)
                units.add_module(f"B{block + 1:02}",
                                 MultiFiber(channels, width, shrink if block == 0 else (1, 1, 1),
                                            block == 0, groups))
                channels = width
            setattr(self, f"conv{stage + 2}", units)
        self.stages = len(blocks)
        self.tail = nn.Sequential()
        self.tail.add_module("bn", nn.BatchNorm3d(channels))
        self.tail.add_module("relu", nn.ReLU(inplace=True))
        self.globalpool = nn.AvgPool3d(final_pool, 1)
        self.classifier = nn.Linear(channels, num_classes)
        initialise(self)

    def forward(self, x):
        x = self.maxpool(self.conv1(x))
        for stage in range(self.stages):
            x = getattr(self, f"conv{stage + 2}")(x)
        x = self.globalpool(self.tail(x))
        return self.classifier(x.view(x.shape[0], -1))


def same_padding(length, kernel, stride):
    """TensorFlow's SAME along time, and as if divisible along height and width: last axis first."""
    amounts = []
    for axis in (2, 1, 0):
        rest = length % stride[0] if axis == 0 else 0
        total = max(kernel[axis] - (rest or stride[axis]), 0)
        amounts += [total // 2, total - total // 2]
    return amounts


class Unit3d(nn.Module):
    """Padding, convolution, BatchNorm, ReLU."""

    def __init__(self, channels, out, kernel, stride=(1, 1, 1), length=1):
        super().__init__()
        self.padding = same_padding(length, kernel, stride)
        self.conv3d = nn.Conv3d(channels, out, kernel, stride, bias=False)
        self.batch3d = nn.BatchNorm3d(out, eps=1e-3)

    def forward(self, x):
        return F.relu(self.batch3d(self.conv3d(F.pad(x, self.padding))))


class SamePool(nn.Module):
    """Zeros around the input, which the maximum sees."""

    def __init__(self, kernel, stride, length):
        super().__init__()
        self.padding = same_padding(length, kernel, stride)
        self.pool = nn.MaxPool3d(kernel, stride, ceil_mode=True)

    def forward(self, x):
        return self.pool(F.pad(x, self.padding))


class Mixed(nn.Module):
    """Four branches side by side; widths as in I3D_STAGES."""

    def __init__(self, channels, widths, length):
        super().__init__()
        cube = (3, 3, 3)
        one = (1, 1, 1)
        self.branch_0 = Unit3d(channels, widths[0], one, length=length)
        self.branch_1 = nn.Sequential(Unit3d(channels, widths[1], one, length=length),
                                      Unit3d(widths[1], widths[2], cube, length=length))
        self.branch_2 = nn.Sequential(Unit3d(channels, widths[3], one, length=length),
                                      Unit3d(widths[3], widths[4], cube, length=length))
        self.branch_3 = nn.Sequential(SamePool(cube, one, length),
                                      Unit3d(channels, widths[5], one, length=length))

    def forward(self, x):
        return torch.cat([self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)], 1)


# Number of a stage, kernel and stride of the pool before it, and its units' channels: branch 0;
# branch 1, 1x1x1 and 3x3x3; branch 2, likewise; branch 3.
I3D_STAGES = [
    ("3", (1, 3, 3), (1, 2, 2), {"b": (64, 96, 128, 16, 32, 32), "c": (128, 128, 192, 32, 96, 64)}),
    ("4", (3, 3, 3), (2, 2, 2), {"b": (192, 96, 208, 16, 48, 64), "c": (160, 112, 224, 24, 64, 64),
                                 "d": (128, 128, 256, 24, 64, 64), "e": (112, 144, 288, 32, 64, 64),
                                 "f": (256, 160, 320, 32, 128, 128)}),
    ("5", (2, 2, 2), (2, 2, 2), {"b": (256, 160, 320, 32, 128, 128),
                                 "c": (384, 192, 384, 48, 128, 128)}),
]


class I3d(nn.Module):
    """[B, 3, T, H, W] -> [B, num_classes], T = length; final_pool is a window of the last average."""

    def __init__(self, blocks=(2, 5, 2), base_width=64, stem_kernel=(7, 7, 7),
                 stem_stride=(2, 2, 2), stem_pool=True, final_pool=(2, 7, 7), num_classes=400,
                 length=16):
        super().__init__()

        def narrow(published):
            return (published * base_width + 63) // 64

        self.conv3d_1a_7x7 = Unit3d(3, narrow(64), stem_kernel, stem_stride, length)
        length = (length - 1) // stem_stride[0] + 1
        self.maxPool3d_2a_3x3 = (SamePool((1, 3, 3), (1, 2, 2), length) if stem_pool
                                 else nn.Identity())
        self.conv3d_2b_1x1 = Unit3d(narrow(64), narrow(64), (1, 1, 1), length=length)
        self.conv3d_2c_3x3 = Unit3d(narrow(64), narrow(192), (3, 3, 3), length=length)
        channels = narrow(192)
        self.order = []
        for (number, kernel, stride, units), count in zip(I3D_STAGES, blocks):
            self.order.append(f"pool_{number}")
            setattr(self, self.order[-1], SamePool(kernel, stride, length))
            length = (length - 1) // stride[0] + 1
            for letter, widths in list(units.items())[:count]:
                self.order.append(f"mixed_{number}{letter}")
                narrowed = [narrow(w) for w in widths]
                setattr(self, self.order[-1], Mixed(channels, narrowed, length))
                channels = narrowed[0] + narrowed[2] + narrowed[4] + narrowed[5]
        self.avg_pool = nn.AvgPool3d(final_pool, 1)
        self.dropout = nn.Dropout(0.5)
        self.conv3d_0c_1x1 = nn.Sequential()
        self.conv3d_0c_1x1.add_module("conv3d", nn.Conv3d(channels, num_classes, 1))
        initialise(self)

    def forward(self, x):
        x = self.maxPool3d_2a_3x3(self.conv3d_1a_7x7(x))
        x = self.conv3d_2c_3x3(self.conv3d_2b_1x1(x))
        for name in self.order:
            x = getattr(self, name)(x)
        x = self.conv3d_0c_1x1(self.dropout(self.avg_pool(x)))
        return x.squeeze(3).squeeze(3).mean(2)


def initialise(network):
    """He's initialisation of all convolutions but a classifier, which has a bias."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.bias is None:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


# Published depths and widths are the builders' business; here they are always given.
FAMILIES = {"resnet50_3d": ResNet3d, "resnet101_3d": ResNet3d, "resnet152_3d": ResNet3d,
            "resnext101_3d": ResNet3d, "mfnet3d": MfNet3d, "i3d": I3d}
