"""Images under noise, the same whenever they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from kdcore.data import Images
from kdcore.randomness import Draws


def noisy(pixels: Tensor, std: float, seed: int, first: int = 0) -> Tensor:
    """Images (N, ...) plus normal noise of a standard deviation in units of pixels from 0 to 1; nothing is cut off.

    The noise of an image depends on the seed and on its position among those that are asked about, counted from
    `first`, and not on the images beside it.
    """
    if not std:
        return pixels
    draws = (Draws(seed, first + i, pixels.device) for i in range(len(pixels)))
    return pixels + std * torch.stack([draw.normal(*pixels.shape[1:]) for draw in draws])


def under_noise(images: Images, std: float, draws: int, most: int) -> Iterator[Images]:
    """Images a few at a time, at most so many with their draws, but all draws of an image together.

    Each image comes under as many draws of the noise, one after the other, of the seeds 0, 1, …: the first draws are
    the same for any number.
    """
    each = max(1, most // draws)
    for first in range(0, len(images), each):
        some = images[first : first + each]
        seen = torch.stack([noisy(some.pixels, std, seed, first) for seed in range(draws)], 1)
        yield Images(seen.flatten(0, 1), some.labels.repeat_interleave(draws))
