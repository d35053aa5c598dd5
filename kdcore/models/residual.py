"""Residual networks: He et al. 2016, and the ones that Yim et al. 2017 and Ahn et al. 2018 train.

`for_small_images` is He's CIFAR family: 6n + 2 layers, 16, 32 and 64 maps, shortcuts without parameters (option A).
`for_large_images` is the ImageNet family. Its parameters have torchvision's names, so that its published weights fit.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from kdcore.models.layers import convolution, scaled, vector

Shortcut = Callable[[int, int, int], nn.Module]


class Basic(nn.Module):
    """Two 3×3 convolutions, added to the shortcut before the last activation."""

    expansion = 1
    last = "relu2"

    def __init__(self, before: int, maps: int, stride: int, shortcut: Shortcut):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = convolution(before, maps, 3, stride), nn.BatchNorm2d(maps), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = convolution(maps, maps), nn.BatchNorm2d(maps), nn.ReLU()
        self.downsample = shortcut(before, maps, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.relu1(self.bn1(self.conv1(inputs)))
        return self.relu2(self.bn2(self.conv2(maps)) + self.downsample(inputs))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the last to four times the maps; the 3×3 one has the stride, as in torchvision."""

    expansion = 4
    last = "relu3"

    def __init__(self, before: int, maps: int, stride: int, shortcut: Shortcut):
        super().__init__()
        after = maps * self.expansion
        self.conv1, self.bn1, self.relu1 = convolution(before, maps, 1), nn.BatchNorm2d(maps), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = convolution(maps, maps, 3, stride), nn.BatchNorm2d(maps), nn.ReLU()
        self.conv3, self.bn3, self.relu3 = convolution(maps, after, 1), nn.BatchNorm2d(after), nn.ReLU()
        self.downsample = shortcut(before, after, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.relu1(self.bn1(self.conv1(inputs)))
        maps = self.relu2(self.bn2(self.conv2(maps)))
        return self.relu3(self.bn3(self.conv3(maps)) + self.downsample(inputs))


class Padding(nn.Module):
    """Option A: every `stride`-th pixel, and empty maps for those that are missing."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.missing, self.stride = after - before, stride

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.pad(inputs[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


def padded(before: int, after: int, stride: int) -> nn.Module:
    """A shortcut without parameters."""
    return nn.Identity() if before == after and stride == 1 else Padding(before, after, stride)


def projected(before: int, after: int, stride: int) -> nn.Module:
    """A shortcut that is a 1×1 convolution where sizes differ."""
    if before == after and stride == 1:
        return nn.Identity()
    return nn.Sequential(convolution(before, after, 1, stride), nn.BatchNorm2d(after))


class Residual(nn.Module):
    """A stem, groups of blocks of which each but the first halves the size, and one fully connected layer."""

    def __init__(self, stem: nn.Conv2d, pooling: nn.Module, block: type[Basic] | type[Bottleneck],
                 counts: tuple[int, ...], maps: tuple[int, ...], shortcut: Shortcut, classes: int):
        super().__init__()
        before = stem.out_channels
        self.conv1, self.bn1, self.relu, self.maxpool = stem, nn.BatchNorm2d(before), nn.ReLU(), pooling
        self.groups, self.taps = [], {}
        for number, (count, inner) in enumerate(zip(counts, maps), start=1):
            after, stride, name = inner * block.expansion, 1 if number == 1 else 2, f"layer{number}"
            self.add_module(name, nn.Sequential(
                block(before, inner, stride, shortcut),
                *(block(after, inner, 1, shortcut) for _ in range(count - 1))))
            last = f"{name}.{count - 1}"
            self.taps |= {f"group{number}": f"{last}.{block.last}", f"group{number}.pre": f"{last}.add",
                          f"group{number}.first": f"{name}.0.relu1"}
            self.groups.append(name)
            before = after
        self.vector, self.fc = vector(), nn.Linear(before, classes)
        self.taps |= {"embedding": "vector.flatten", "logits": "fc"}

    def forward(self, images: Tensor) -> Tensor:
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for name in self.groups:
            maps = self.get_submodule(name)(maps)
        return self.fc(self.vector(maps))


def for_small_images(image_shape: tuple[int, int, int], classes: int, depth: int, width: float = 1.0) -> Residual:
    """He's net of `depth` = 6n + 2 layers for CIFAR's images (He et al. 2016, Sec. 4.2; Yim et al. 2017, Sec. 4.1)."""
    count, rest = divmod(depth - 2, 6)
    if rest or count < 1:
        raise ValueError(f"A residual net for small images has 6n + 2 layers, not {depth}.")
    maps = tuple(scaled(channels, width) for channels in (16, 32, 64))
    return Residual(convolution(image_shape[0], maps[0]), nn.Identity(), Basic, (count,) * 3, maps, padded, classes)


def for_large_images(image_shape: tuple[int, int, int], classes: int, block: type[Basic] | type[Bottleneck],
                     counts: tuple[int, ...], width: float = 1.0) -> Residual:
    """The ImageNet net with `counts` blocks in its groups (He et al. 2016, Table 1; Yim et al. 2017, Sec. 4.3)."""
    maps = tuple(scaled(channels, width) for channels in (64, 128, 256, 512))
    return Residual(convolution(image_shape[0], maps[0], 7, 2), nn.MaxPool2d(3, 2, 1), block, counts, maps, projected,
                    classes)
