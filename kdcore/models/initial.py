"""Initial weights: ways to draw them, by name. Biases start at zero, the factors of batch norm at one."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

INITIAL: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "truncated_normal": lambda weight, generator: nn.init.trunc_normal_(weight, std=0.01, a=-0.02, b=0.02,
                                                                        generator=generator),
    "he": lambda weight, generator: nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator),
}


def draw(network: nn.Module, initial: str, seed: int) -> None:
    """Draw the network's weights: "truncated_normal" has standard deviation 0.01 and is cut at two of them (Ehmann &
    Samek 2018); "he" is √(2 / fan-in) (He et al. 2015, also called MSRA), which suits images smaller than MNIST's.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() > 1:
            INITIAL[initial](parameter, generator)
