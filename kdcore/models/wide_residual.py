"""Wide residual networks (Zagoruyko & Komodakis 2016): teachers and students of Heo et al. and Ahn et al. 2018.

WRN-d-k has d = 6n + 4 layers: three groups of n blocks with 16k, 32k and 64k maps. Blocks begin with batch norm and
ReLU, so that a group's end has no activation of its own: `groupK` is the block's sum, `groupK.pre` the batch norm that
opens the next group, or the final one.
"""

from __future__ import annotations

from torch import Tensor, nn

from kdcore.models.layers import convolution, scaled, vector


class Block(nn.Module):
    """Batch norm, ReLU, 3×3 convolution, twice; the shortcut is a 1×1 convolution where sizes differ."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.bn1, self.relu1, self.conv1 = nn.BatchNorm2d(before), nn.ReLU(), convolution(before, after, 3, stride)
        self.bn2, self.relu2, self.conv2 = nn.BatchNorm2d(after), nn.ReLU(), convolution(after, after)
        same = before == after and stride == 1
        self.shortcut = None if same else convolution(before, after, 1, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        opened = self.relu1(self.bn1(inputs))
        maps = self.conv2(self.relu2(self.bn2(self.conv1(opened))))
        return maps + (inputs if self.shortcut is None else self.shortcut(opened))


class WideResidual(nn.Module):
    """A convolution, three groups of `count` blocks, batch norm, ReLU, and one fully connected layer."""

    def __init__(self, channels: int, classes: int, count: int, stem: int, maps: tuple[int, ...]):
        super().__init__()
        self.conv, before = convolution(channels, stem), stem
        self.groups, self.taps = [], {}
        for number, after in enumerate(maps, start=1):
            stride, name = 1 if number == 1 else 2, f"group{number}"
            self.add_module(name, nn.Sequential(
                Block(before, after, stride), *(Block(after, after, 1) for _ in range(count - 1))))
            self.taps |= {name: f"{name}.{count - 1}.add", f"{name}.first": f"{name}.0.relu2",
                          f"{name}.pre": "bn" if number == len(maps) else f"group{number + 1}.0.bn1"}
            self.groups.append(name)
            before = after
        self.bn, self.relu, self.vector, self.fc = nn.BatchNorm2d(before), nn.ReLU(), vector(), \
            nn.Linear(before, classes)
        self.taps |= {"embedding": "vector.flatten", "logits": "fc"}

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        for name in self.groups:
            maps = self.get_submodule(name)(maps)
        return self.fc(self.vector(self.relu(self.bn(maps))))


def wide_residual(image_shape: tuple[int, int, int], classes: int, depth: int, widening: int,
                  width: float = 1.0) -> WideResidual:
    """WRN-`depth`-`widening`; `width` scales all of its channels once more."""
    count, rest = divmod(depth - 4, 6)
    if rest or count < 1:
        raise ValueError(f"A wide residual net has 6n + 4 layers, not {depth}.")
    maps = tuple(scaled(channels * widening, width) for channels in (16, 32, 64))
    return WideResidual(image_shape[0], classes, count, scaled(16, width), maps)
