"""Small networks of the six built-in architectures, whose graphs the exported modules have to equal."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from architectures import I3d, MfNet3d, ResNet3d

CLASSES = 5


def mfnet():
    return MfNet3d((2, 1, 2), base_width=8, groups=4, stem_channels=4, final_pool=(2, 2, 2),
                   num_classes=CLASSES)


def i3d():
    return I3d((2, 1, 2), base_width=8, final_pool=(2, 1, 1), num_classes=CLASSES, length=17)


def resnet(blocks, base_width=4, expansion=4, groups=1):
    return ResNet3d(blocks, base_width, expansion, groups, stem_channels=6, num_classes=CLASSES)


# The same reductions as in tests/golden/exported_test.cpp: module, size of its clips.
PUBLISHED = {
    "mfnet3d": (mfnet, (4, 32, 32)),
    "i3d": (i3d, (17, 32, 32)),
    "resnet50_3d": (lambda: resnet((1, 2, 1, 1)), (8, 24, 26)),
    "resnet101_3d": (lambda: resnet((1, 1, 3, 1)), (7, 25, 24)),
    "resnet152_3d": (lambda: resnet((2, 1, 2, 2)), (8, 24, 24)),
    "resnext101_3d": (lambda: resnet((1, 2, 1, 1), base_width=8, expansion=2, groups=4), (8, 24, 24)),
}
