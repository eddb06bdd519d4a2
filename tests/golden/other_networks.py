"""Reduced networks of other families, and one of odd parts, to be exported and explained.

Each follows the idea of its paper at a few channels a layer: factorised convolutions (R(2+1)D, S3D),
depth-wise ones with squeeze-and-excitation and swish (X3D), channel-separated ones (CSN), two
pathways with lateral connections (SlowFast).
"""

import torch
import torch.nn.functional as F
from torch import nn


def norm_relu(channels):
    return nn.Sequential(nn.BatchNorm3d(channels), nn.ReLU(inplace=True))


class Factorised(nn.Sequential):
    """A convolution over space, then one over time."""

    def __init__(self, channels, out, stride=1):
        middle = (channels * out * 27) // (channels * 9 + 3 * out)
        super().__init__(
            nn.Conv3d(channels, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(middle), nn.ReLU(inplace=True),
            nn.Conv3d(middle, out, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False))


class FactorisedBlock(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Sequential(Factorised(channels, out, stride), *norm_relu(out))
        self.conv2 = nn.Sequential(Factorised(out, out), nn.BatchNorm3d(out))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv3d(channels, out, 1, stride, bias=False),
                                            nn.BatchNorm3d(out))

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class R2Plus1d18(nn.Module):
    def __init__(self, width=4, classes=5):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 5, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), *norm_relu(5),
            nn.Conv3d(5, width, (3, 1, 1), 1, (1, 0, 0), bias=False), *norm_relu(width))
        channels = width
        for stage in range(4):
            out = width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(
                FactorisedBlock(channels, out, 1 if stage == 0 else 2),
                FactorisedBlock(out, out, 1)))
            channels = out
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(self.avgpool(x).flatten(1))


class Separable(nn.Sequential):
    def __init__(self, channels, out, kernel=3, stride=1):
        pad = kernel // 2
        super().__init__(
            nn.Conv3d(channels, out, (1, kernel, kernel), (1, stride, stride), (0, pad, pad),
                      bias=False),
            nn.BatchNorm3d(out, eps=1e-3), nn.ReLU(inplace=True),
            nn.Conv3d(out, out, (kernel, 1, 1), (stride, 1, 1), (pad, 0, 0), bias=False),
            nn.BatchNorm3d(out, eps=1e-3), nn.ReLU(inplace=True))


class FeatureGate(nn.Module):
    """S3D-G's gate: of the mean over positions, one number a channel."""

    def __init__(self, channels):
        super().__init__()
        self.excitation = nn.Linear(channels, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.excitation(x.mean([2, 3, 4])))
        return x * gate[:, :, None, None, None]


class SeparableMixed(nn.Module):
    def __init__(self, channels, a, b, c, d):
        super().__init__()
        self.branch0 = nn.Sequential(nn.Conv3d(channels, a, 1, bias=False), *norm_relu(a))
        self.branch1 = nn.Sequential(nn.Conv3d(channels, b, 1, bias=False), *norm_relu(b),
                                     Separable(b, b))
        self.branch2 = nn.Sequential(nn.Conv3d(channels, c, 1, bias=False), *norm_relu(c),
                                     Separable(c, c))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), nn.Conv3d(channels, d, 1, bias=False),
                                     *norm_relu(d))
        self.gate = FeatureGate(a + b + c + d)

    def forward(self, x):
        return self.gate(torch.cat((self.branch0(x), self.branch1(x), self.branch2(x),
                                    self.branch3(x)), 1))


class S3d(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.base = nn.Sequential(
            Separable(3, 6, 7, 2), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            nn.Conv3d(6, 6, 1, bias=False), *norm_relu(6), Separable(6, 9),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            SeparableMixed(9, 4, 5, 3, 2), nn.MaxPool3d((2, 2, 2), (2, 2, 2)),
            SeparableMixed(14, 6, 6, 4, 4))
        self.fc = nn.Sequential(nn.Conv3d(20, classes, 1))

    def forward(self, x):
        y = self.base(x)
        y = F.avg_pool3d(y, (2, y.size(3), y.size(4)), stride=1)
        y = self.fc(y)
        y = y.view(y.size(0), y.size(1), y.size(2))
        return torch.mean(y, 2)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        self.fc1 = nn.Conv3d(channels, inner, 1)
        self.fc2 = nn.Conv3d(inner, channels, 1)

    def forward(self, x):
        gate = F.adaptive_avg_pool3d(x, 1)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(gate))))


class X3dBlock(nn.Module):
    def __init__(self, channels, inner, out, stride, excite):
        super().__init__()
        self.conv_a = nn.Conv3d(channels, inner, 1, bias=False)
        self.norm_a = nn.BatchNorm3d(inner)
        self.conv_b = nn.Conv3d(inner, inner, 3, (1, stride, stride), 1, groups=inner, bias=False)
        self.norm_b = nn.BatchNorm3d(inner)
        self.se = SqueezeExcitation(inner, 4) if excite else nn.Identity()
        self.swish = nn.SiLU()
        self.conv_c = nn.Conv3d(inner, out, 1, bias=False)
        self.norm_c = nn.BatchNorm3d(out)
        self.shortcut = None
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv3d(channels, out, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(out))

    def forward(self, x):
        y = F.relu(self.norm_a(self.conv_a(x)))
        y = self.swish(self.se(self.norm_b(self.conv_b(y))))
        y = self.norm_c(self.conv_c(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class X3d(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.conv_s = nn.Conv3d(3, 6, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        self.conv_t = nn.Conv3d(6, 6, (5, 1, 1), 1, (2, 0, 0), groups=6, bias=False)
        self.norm = nn.BatchNorm3d(6)
        self.blocks = nn.Sequential(X3dBlock(6, 12, 6, 2, True), X3dBlock(6, 12, 6, 1, False),
                                    X3dBlock(6, 18, 12, 2, True), X3dBlock(12, 24, 12, 1, False))
        self.head_a = nn.Conv3d(12, 24, 1, bias=False)
        self.head_norm = nn.BatchNorm3d(24)
        self.head_b = nn.Conv3d(24, 16, 1, bias=False)
        self.projection = nn.Linear(16, classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.conv_t(self.conv_s(x)))))
        x = F.relu(self.head_norm(self.head_a(x)))
        x = F.avg_pool3d(x, x.shape[2:])
        x = F.relu(self.head_b(x)).permute(0, 2, 3, 4, 1)
        x = torch.softmax(self.projection(x), dim=4)
        return x.mean([1, 2, 3])


class CsnBlock(nn.Module):
    """Interaction-reduced: 1x1x1, depth-wise 3x3x3, 1x1x1."""

    def __init__(self, channels, width, out, stride):
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, 1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv3d(channels, out, 1, stride, bias=False),
                                            nn.BatchNorm3d(out))

    def forward(self, x):
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu_(y)


class Csn(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.conv1 = nn.Conv3d(3, 6, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(6)
        self.layer1 = nn.Sequential(CsnBlock(6, 4, 16, 1), CsnBlock(16, 4, 16, 1))
        self.layer2 = nn.Sequential(CsnBlock(16, 8, 32, 2), CsnBlock(32, 8, 32, 1))
        self.fc = nn.Linear(32, classes)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.bn1(self.conv1(x))), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(F.adaptive_avg_pool3d(x, 1), 1))


class SlowFast(nn.Module):
    """Every fourth frame through the wide pathway, all through the narrow one, which feeds the other."""

    def __init__(self, classes=5):
        super().__init__()
        self.slow_stem = nn.Sequential(
            nn.Conv3d(3, 8, (1, 5, 5), (1, 2, 2), (0, 2, 2), bias=False), *norm_relu(8))
        self.fast_stem = nn.Sequential(
            nn.Conv3d(3, 2, (5, 5, 5), (1, 2, 2), (2, 2, 2), bias=False), *norm_relu(2))
        self.lateral1 = nn.Sequential(
            nn.Conv3d(2, 4, (5, 1, 1), (4, 1, 1), (2, 0, 0), bias=False), *norm_relu(4))
        self.slow_block = CsnBlock(12, 6, 16, 2)
        self.fast_block = CsnBlock(2, 2, 4, (1, 2, 2))
        self.lateral2 = nn.Conv3d(4, 8, (5, 1, 1), (4, 1, 1), (2, 0, 0), bias=False)
        self.slow_last = CsnBlock(24, 8, 16, 1)
        self.fast_last = CsnBlock(4, 2, 8, 1)
        self.slow_block.downsample[0].stride = (1, 2, 2)
        self.slow_block.conv2.stride = (1, 2, 2)
        self.projection = nn.Linear(24, classes)

    def forward(self, x):
        frames = torch.linspace(0, x.shape[2] - 1, x.shape[2] // 4).long()
        slow = self.slow_stem(torch.index_select(x, 2, frames))
        fast = self.fast_stem(x)
        slow = self.slow_block(torch.cat([slow, self.lateral1(fast)], 1))
        fast = self.fast_block(fast)
        slow = self.slow_last(torch.cat([slow, self.lateral2(fast)], 1))
        fast = self.fast_last(fast)
        pooled = torch.cat([slow.mean([2, 3, 4]), fast.mean([2, 3, 4])], 1)
        return self.projection(pooled)


class Odd(nn.Module):
    """What the others lack: shuffles, chunks, two dimensions, transposed convolutions, two heads."""

    def __init__(self, classes=5):
        super().__init__()
        self.stem = nn.Conv3d(3, 8, 3, padding=1)
        self.frame_conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.frame_norm = nn.BatchNorm2d(8)
        self.time_conv = nn.Conv1d(4, 4, 3, padding=1)
        self.prelu = nn.PReLU(8)
        self.grow = nn.ConvTranspose3d(8, 6, (2, 3, 3), (2, 2, 2), (0, 1, 1), (0, 1, 0), groups=2)
        self.dilated = nn.Conv3d(6, 8, 3, padding=(1, 2, 2), dilation=(1, 2, 2), groups=2)
        self.spatial_gate = nn.Conv3d(8, 1, 1)
        self.mixer = nn.Linear(8, 8)
        self.hidden = nn.Linear(8 * 2 * 2 * 2, 10)
        self.fc = nn.Linear(10, classes)
        self.other_head = nn.Conv3d(8, 3, 1)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 8).view(1, 8, 1, 1, 1))

    def frames(self, x):
        b, c, t, h, w = x.shape
        x = x.transpose(1, 2).reshape(b * t, c, h, w)
        x = F.leaky_relu(self.frame_norm(self.frame_conv(x)), 0.1)
        x = x.view(b, t, c, h, w).permute(0, 2, 1, 3, 4)
        shuffled = x.reshape(b, 2, c // 2, t, h, w).transpose(1, 2)
        return shuffled.reshape(b, c, t, h, w)

    def forward(self, x):
        mean = torch.tensor([0.1, 0.2, -0.1]).view(1, 3, 1, 1, 1)
        x = F.hardswish(self.stem((x - mean) / 0.5))
        x = self.frames(x)
        first, second = x.chunk(2, dim=1)
        b, c, t, h, w = first.shape
        over_time = first.permute(0, 3, 4, 1, 2).reshape(b * h * w, c, t)
        over_time = self.time_conv(over_time).view(b, h, w, c, t).permute(0, 3, 4, 1, 2)
        x = torch.cat([F.elu(second), over_time.contiguous()], 1)
        x = self.prelu(x) * self.scale + 1
        x = F.avg_pool3d(x[:, :, 1:, ::2, 1:-1], 2, 2, padding=1, count_include_pad=False,
                         ceil_mode=True)
        x = F.gelu(self.grow(x))
        x = F.relu6(self.dilated(x))
        x = x * torch.sigmoid(self.spatial_gate(x))
        x = F.interpolate(x, scale_factor=(1, 2, 1), mode="nearest").flip(2)
        x = F.mish(self.mixer(x.permute(0, 2, 3, 4, 1))).movedim(4, 1)
        other = self.other_head(x.amax((2, 3, 4), keepdim=True)).flatten(1)
        x = F.adaptive_avg_pool3d(x, 2).flatten(1)
        return torch.sigmoid(self.fc(torch.tanh(self.hidden(x)))), other


OTHERS = {
    "r2plus1d_18": (R2Plus1d18, (8, 24, 24)),
    "s3d": (S3d, (16, 32, 32)),
    "x3d": (X3d, (4, 24, 26)),
    "csn": (Csn, (6, 24, 24)),
    "slowfast": (SlowFast, (8, 24, 24)),
    "odd": (Odd, (6, 17, 18)),
}
