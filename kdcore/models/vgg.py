"""VGG-4 and VGG-9 of Srinivas & Fleuret 2018, Sec. 6.1: 3×3 convolutions with batch norm, one fully connected layer.

The paper gives the number of layers and that the convolutions are VGG's (Simonyan & Zisserman 2014). Taken from there:
a max-pooling after each section, and 64, 128, 256, 512 maps. Chosen here: the mean of each last map goes into the
fully connected layer, so that any image size works.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from kdcore.models.layers import convolution, scaled, vector


class VGG(nn.Module):
    """Sections of `count` convolutions with these numbers of maps, each section followed by a max-pooling."""

    def __init__(self, channels: int, classes: int, count: int, maps: tuple[int, ...]):
        super().__init__()
        self.sections, self.taps = len(maps), {}
        for number, after in enumerate(maps, start=1):
            layers = OrderedDict()
            for place in range(1, count + 1):
                layers[f"conv{place}"] = convolution(channels if place == 1 else after, after)
                layers[f"bn{place}"], layers[f"relu{place}"] = nn.BatchNorm2d(after), nn.ReLU()
            name = f"section{number}"
            self.add_module(name, nn.Sequential(layers))
            self.add_module(f"pool{number}", nn.MaxPool2d(2))
            self.taps |= {f"group{number}": f"{name}.relu{count}", f"group{number}.pre": f"{name}.bn{count}",
                          f"group{number}.pooled": f"pool{number}",
                          **({f"group{number}.first": f"{name}.relu1"} if count > 1 else {})}
            channels = after
        self.vector, self.fc = vector(), nn.Linear(channels, classes)
        self.taps |= {"embedding": "vector.flatten", "logits": "fc"}

    def forward(self, images: Tensor) -> Tensor:
        maps = images
        for number in range(1, self.sections + 1):
            maps = self.get_submodule(f"pool{number}")(self.get_submodule(f"section{number}")(maps))
        return self.fc(self.vector(maps))


def vgg(image_shape: tuple[int, int, int], classes: int, count: int, maps: tuple[int, ...],
        width: float = 1.0) -> VGG:
    """`len(maps)` sections of `count` convolutions: VGG-9 is 2 in each of 4 sections, VGG-4 is 1 in each of 3."""
    return VGG(image_shape[0], classes, count, tuple(scaled(channels, width) for channels in maps))
