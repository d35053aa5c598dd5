"""Layers that several of the networks are made of."""

from collections import OrderedDict

from torch import nn


def scaled(channels: int, width: float) -> int:
    """`channels` times the width factor, at least one."""
    return max(1, round(channels * width))


def convolution(before: int, after: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1, without the bias that the batch norm after it would cancel."""
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)


def vector() -> nn.Sequential:
    """(N, C, H, W) -> (N, C): each map's mean, so that any image size works, and the dropout before the last layer."""
    return nn.Sequential(OrderedDict(mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(0.0)))
