"""The architectures that can be chosen, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from kdcore.errors import UserError
from kdcore.models import ehmann_samek, mobilenet, residual, vgg, wide_residual

Builder = Callable[[tuple[int, int, int], int, float], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """A network that can be chosen.

    `build(image_shape, classes, width)` makes it; it has `taps`, and one `nn.Dropout` before its last layer, at 0
    until the trainer sets it. `initial` is how its paper draws the weights (None: the module draws its own);
    `smallest` the side in pixels of the smallest images that leave it something to see; `normalises` whether images
    are normalised before it; `published` torchvision's name of its weights, where there are any; `own` whether a user
    has registered it.
    """

    title: str
    sentence: str
    paper: str
    build: Builder
    initial: str | None = "he"
    smallest: int = 1
    normalises: bool = True
    published: str | None = None
    own: bool = False


def _fully_connected(title: str, sentence: str, hidden: tuple[int, ...]) -> Architecture:
    return Architecture(title, sentence, "Ehmann & Samek 2018", initial="truncated_normal", normalises=False,
                        build=lambda shape, classes, width: ehmann_samek.fully_connected(shape, classes, hidden, width))


def _convolutional(title: str, sentence: str, kernels: tuple[int, ...], maps: tuple[int, ...]) -> Architecture:
    return Architecture(title, sentence, "Ehmann & Samek 2018", initial="truncated_normal", normalises=False,
                        build=lambda shape, classes, width: ehmann_samek.convolutional(shape, classes, kernels, maps,
                                                                                       width))


def _residual(depth: int) -> Architecture:
    return Architecture(
        f"Residual net, {depth} layers", f"{depth} layers with shortcuts in three groups; at width 1, 16, 32 and 64 "
        "maps. For images like CIFAR's.", "Yim et al. 2017", smallest=4,
        build=lambda shape, classes, width: residual.for_small_images(shape, classes, depth, width))


def _wide(depth: int, widening: int, paper: str) -> Architecture:
    maps = ", ".join(str(channels * widening) for channels in (16, 32)) + f" and {64 * widening}"
    return Architecture(
        f"WRN-{depth}-{widening}", f"A wide residual net: {depth} layers with shortcuts in three groups; at width 1, "
        f"{maps} maps. For images like CIFAR's.", paper, smallest=4,
        build=lambda shape, classes, width: wide_residual.wide_residual(shape, classes, depth, widening, width))


def _resnet(title: str, sentence: str, paper: str, block: type, counts: tuple[int, ...],
            published: str | None = None) -> Architecture:
    first, second, third, fourth = (channels * block.expansion for channels in (64, 128, 256, 512))
    return Architecture(
        title, f"{sentence} At width 1, they have {first}, {second}, {third} and {fourth} maps. For images of some 100 "
        "pixels and more.", paper, smallest=32,
        published=published,
        build=lambda shape, classes, width: residual.for_large_images(shape, classes, block, counts, width))


def _vgg(layers: int, sentence: str, count: int, maps: tuple[int, ...]) -> Architecture:
    return Architecture(
        f"VGG-{layers}", sentence, "Srinivas & Fleuret 2018", smallest=2 ** len(maps),
        build=lambda shape, classes, width: vgg.vgg(shape, classes, count, maps, width))


ARCHITECTURES: dict[str, Architecture] = {
    "fc_student": _fully_connected(
        "FC student", "Two fully connected layers; at width 1, 1000 hidden neurons.", (1000,)),
    "fc_teacher": _fully_connected(
        "FC teacher", "Four fully connected layers; at width 1, 1000, 500 and 200 hidden neurons.", (1000, 500, 200)),
    "conv_student": _convolutional(
        "Convolutional student", "Two convolutions, no pooling; at width 1, 10 maps between them.", (15, 14), (10,)),
    "conv_teacher": _convolutional(
        "Convolutional teacher", "Four convolutions, no pooling; at width 1, 10, 25 and 100 maps between them.",
        (10, 9, 8, 4), (10, 25, 100)),
    **{f"residual{depth}": _residual(depth) for depth in (8, 14, 26, 32)},
    "residual20_large": _resnet(
        "Residual net, 20 layers", "20 layers with shortcuts in four groups.", "Yim et al. 2017", residual.Basic,
        (2, 2, 3, 2)),
    **{f"wrn_{depth}_{widening}": _wide(depth, widening, paper) for depth, widening, paper in (
        (10, 1, "Heo et al. 2019"), (10, 4, "Heo et al. 2019"), (16, 1, "Ahn et al. 2018"), (16, 2, "Heo et al. 2019"),
        (16, 4, "Heo et al. 2019"), (22, 4, "Heo et al. 2019"), (40, 2, "Ahn et al. 2018"))},
    "vgg4": _vgg(4, "Three convolutions, each with a pooling after it, and one fully connected layer; at width 1, 64, "
                 "128 and 256 maps.", 1, (64, 128, 256)),
    "vgg9": _vgg(9, "Eight convolutions, a pooling after each second one, and one fully connected layer; at width 1, "
                 "64, 128, 256 and 512 maps.", 2, (64, 128, 256, 512)),
    "mobilenet": Architecture(
        "MobileNet", "28 light layers, half of which look at each map on its own; at width 1, 1024 last maps. For "
        "images of some 100 pixels and more.", "Heo et al. 2019", smallest=32,
        build=lambda shape, classes, width: mobilenet.MobileNet(shape[0], classes, width)),
    "resnet18": _resnet("ResNet-18", "18 layers with shortcuts in four groups.", "Ahn et al. 2018", residual.Basic,
                        (2, 2, 2, 2), "resnet18"),
    "resnet34": _resnet("ResNet-34", "34 layers with shortcuts in four groups.", "Yim et al. 2017", residual.Basic,
                        (3, 4, 6, 3), "resnet34"),
    "resnet50": _resnet("ResNet-50", "50 layers with shortcuts in four groups.", "Heo et al. 2019",
                        residual.Bottleneck, (3, 4, 6, 3), "resnet50"),
}


def register(name: str, build: Builder, taps: dict[str, str] | None = None, *, title: str = "", sentence: str = "",
             paper: str = "") -> None:
    """Make a module of one's own a network that configurations in this process may name.

    `build(image_shape, classes, width)` returns the module; `taps` says where its values are, by the paths of
    kdcore/models/taps.py, as in {"group1": "features.4", "embedding": "features"}; "logits" is its output, unless said
    otherwise. Its images are in [0, 1]. Activations that work in place are switched to the other way when it is built,
    since a tap before one would show the value after it. A method's dropout goes where it has an nn.Dropout(0.0).
    Raises UserError where the name is taken, or `build` takes other arguments.
    """
    if name in ARCHITECTURES and not ARCHITECTURES[name].own:
        raise UserError(f"{name!r} is one of Apprentice's own networks; choose another name.")
    try:
        inspect.signature(build).bind((1, 8, 8), 10, 1.0)
    except (TypeError, ValueError) as error:  # a builtin has no signature
        raise UserError(f"What builds {name!r} must take three arguments, (image_shape, classes, width).") from error
    ARCHITECTURES[name] = Architecture(
        title or name, sentence or "A network of your own.", paper,
        partial(_own, build, {"logits": "", **(taps or {})}), initial=None, normalises=False, own=True)


def _own(build: Builder, taps: dict[str, str], *settings) -> nn.Module:
    network = build(*settings)
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    network.taps = taps
    return network
