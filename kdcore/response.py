"""Response: one network's lazy answer to one batch."""

from contextlib import contextmanager, nullcontext
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from kdcore import derivatives, levers
from kdcore.batch_norm import TwiceDifferentiable
from kdcore.by_rows import ByRows
from kdcore.models import tapped
from kdcore.randomness import Draws


class Response:
    """What one network answers to a batch of images; each derived quantity is computed when first asked for, and kept.

    `images` (N, *input) in [0, 1]; `labels` (N,) class indices, or None; `taps` names the intermediate values wanted,
    and `rows` (N, k) the classes of which the Jacobian is, all by default.
    Derivatives with respect to the images need `differentiable`. They carry a graph where gradient mode is on, so that
    a loss made of them can be differentiated again; inside `torch.no_grad()` they do not. The network computes in
    numbers of `dtype`, and answers in float32.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor | None = None, *, draws: Draws | None = None,
                 taps: tuple[str, ...] = (), rows: Tensor | None = None, differentiable: bool = True,
                 dtype: torch.dtype = torch.float32):
        self.network = network
        self.inputs = images.detach().requires_grad_(differentiable)
        self.labels = labels
        self.draws = draws
        self._taps, self._rows, self._dtype = taps, rows, dtype
        self._noisy: dict[float, Response] = {}

    @cached_property
    def taps(self) -> dict[str, Tensor]:
        """The named intermediate values, and "logits"."""
        lower = self._dtype != torch.float32
        with (torch.set_grad_enabled(torch.is_grad_enabled() or self.inputs.requires_grad), self._twice(),
              torch.autocast(self.inputs.device.type, self._dtype if lower else None, enabled=lower)):
            read = tapped(self.network, (*self._taps, "logits")).reader() if self._taps else _outputs
            if levers.on("compiled", self.inputs.device) and not self.inputs.requires_grad:
                read = _compiled(read)  # which has one derivative
            return {name: value.float() if lower else value for name, value in read(self.network, self.inputs).items()}

    @contextmanager
    def _twice(self):
        """What is to be differentiated twice is computed by what can be."""
        if not self.inputs.requires_grad:
            yield
            return
        device = self.inputs.device
        normalised = TwiceDifferentiable() if levers.on("batch_norm", device) else nullcontext()
        rows = ByRows() if levers.on("by_rows", device) else nullcontext()
        with sdpa_kernel(SDPBackend.MATH), normalised, rows:  # fused attention has one derivative
            yield

    @property
    def logits(self) -> Tensor:
        """(N, C), before the softmax."""
        return self.taps["logits"]

    @cached_property
    def cost_gradient(self) -> Tensor:
        """(N, *input): each image's ∂CE/∂x."""
        return derivatives.cost_gradient(self.logits, self.labels, self.inputs)

    @cached_property
    def jacobian(self) -> Tensor:
        """(N, C, *input), or (N, k, *input) of the wanted rows: ∂z_c/∂x."""
        return derivatives.jacobian(self.logits, self.inputs, self.in_turn, self._rows)

    @cached_property
    def in_turn(self) -> bool:
        """Whether several derivatives are computed one after another: on a CPU, convolutions are faster that way.

        Of a batch's full Jacobian and its double backpropagation, one vectorised call takes 1.2 to 1.9 times as long
        with convolutional networks, and 0.8 of the time with fully connected ones.
        """
        norms = any(isinstance(module, _BatchNorm) for module in self.network.modules())  # see kdcore.batch_norm
        return norms and levers.on("batch_norm", self.inputs.device) or (
            self.inputs.device.type == "cpu" and levers.convolves(self.network))

    @cached_property
    def summed_jacobian(self) -> Tensor:
        """(N, *input): Σ_c ∂z_c/∂x."""
        return derivatives.summed_jacobian(self.logits, self.inputs)

    def noisy(self, std: float) -> "Response":
        """The same network's response at x + ξ, ξ normal with standard deviation `std`, from the step's draws.

        Without draws the noise is always the same. Batch norm keeps statistics of the images alone: in training mode
        their own response comes first, and that of the noisy ones is not recorded.
        """
        if std not in self._noisy:
            draws = self.draws or Draws(0, 0, self.inputs.device)
            noise = draws.normal(*self.inputs.shape).to(self.inputs)
            response = Response(self.network, self.inputs + std * noise, self.labels, differentiable=False,
                                dtype=self._dtype)
            if self.network.training:
                self.logits  # noqa: B018
            with unrecorded(self.network):
                response.logits  # noqa: B018
            self._noisy[std] = response
        return self._noisy[std]


def _outputs(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    return {"logits": network(images)}


_compiled = lru_cache(maxsize=8)(torch.compile)


@contextmanager
def unrecorded(*networks: nn.Module):
    """Leave the running statistics of batch norm alone; a network in training mode still normalises by the batch."""
    norms = [module for network in networks for module in network.modules()
             if module.training and getattr(module, "track_running_stats", False)]
    for module in norms:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in norms:
            module.track_running_stats = True
