"""Images under noise, the same whenever they are asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from kdcore.data import Images


def noisy(pixels: Tensor, std: float, seed: int) -> Tensor:
    """Pixels (...) plus normal noise of a standard deviation in units of pixels from 0 to 1; nothing is cut off."""
    return pixels + std * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed))


def under_noise(one: Images, std: float, draws: int) -> Images:
    """One image under as many draws of the noise, of the seeds 0, 1, …: the first draws are the same for any number."""
    return Images(torch.cat([noisy(one.pixels, std, seed) for seed in range(draws)]), one.labels.repeat(draws))
