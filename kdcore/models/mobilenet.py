"""MobileNet, version 1 (Howard et al. 2017, Table 1): the student of Heo et al. 2019 for larger images.

A group holds all maps of one size; its first layer is the depthwise convolution (in the first group, the stem) that
makes them so.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from kdcore.models.layers import convolution, scaled, vector

GROUPS = ((64,), (128, 128), (256, 256), (512,) * 6, (1024, 1024))


def separable(before: int, after: int, stride: int) -> nn.Sequential:
    """A 3×3 convolution of each map on its own, then a 1×1 convolution, each with batch norm and ReLU."""
    return nn.Sequential(OrderedDict(
        depthwise=convolution(before, before, 3, stride, groups=before), bn1=nn.BatchNorm2d(before), relu1=nn.ReLU(),
        pointwise=convolution(before, after, 1), bn2=nn.BatchNorm2d(after), relu2=nn.ReLU()))


class MobileNet(nn.Module):
    """A stem and thirteen separable convolutions in five groups of maps of one size; `width` is the paper's α."""

    def __init__(self, channels: int, classes: int, width: float = 1.0):
        super().__init__()
        before = scaled(32, width)
        self.stem = nn.Sequential(OrderedDict(
            conv=convolution(channels, before, 3, 2), bn=nn.BatchNorm2d(before), relu=nn.ReLU()))
        self.groups, self.taps = [], {}
        for number, maps in enumerate(GROUPS, start=1):
            blocks, name = [], f"group{number}"
            for place, after in enumerate(scaled(channels, width) for channels in maps):
                blocks.append(separable(before, after, 2 if number > 1 and place == 0 else 1))
                before = after
            self.add_module(name, nn.Sequential(*blocks))
            last = f"{name}.{len(maps) - 1}"
            self.taps |= {name: f"{last}.relu2", f"{name}.pre": f"{last}.bn2",
                          f"{name}.first": "stem.relu" if number == 1 else f"{name}.0.relu1"}
            self.groups.append(name)
        self.vector, self.fc = vector(), nn.Linear(before, classes)
        self.taps |= {"embedding": "vector.flatten", "logits": "fc"}

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        for name in self.groups:
            maps = self.get_submodule(name)(maps)
        return self.fc(self.vector(maps))
