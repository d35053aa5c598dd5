"""Derivatives of what a network computes with respect to its images, per sample.

Each is the derivative of every image's own quantity with respect to that image. With batch norm in training mode they
also hold each image's share in the others' outputs; pictures use evaluation mode.
Each function is differentiable where gradient mode is on; inside `torch.no_grad()` it returns values alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def cost_gradient(logits: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
    """∂CE/∂x of each image (Ehmann & Samek 2018, eq. 2).

    `logits` (N, C) computed from `inputs` (N, *input), `labels` (N,), −1 for an image without label, whose row is 0;
    returns (N, *input). It is the gradient of the batch's *summed* cost: the batch mean would be 1/N of it.
    """
    return derivative(lambda: functional.cross_entropy(logits, labels, reduction="sum", ignore_index=-1), inputs)


def jacobian(logits: Tensor, inputs: Tensor, in_turn: bool = False, classes: Tensor | None = None) -> Tensor:
    """∂z_c/∂x of every class (Ehmann & Samek 2018, eq. 3): `logits` (N, C), `inputs` (N, *input) -> (N, C, *input).

    Of `classes` (N, k), which may be others for each image, those k rows alone.
    """
    units = torch.eye(logits.shape[1]).to(logits)
    vectors = units.expand(len(logits), -1, -1) if classes is None else units[classes]
    return projected_jacobian(logits, vectors, inputs, in_turn)


def summed_jacobian(logits: Tensor, inputs: Tensor) -> Tensor:
    """Σ_c ∂z_c/∂x (Ehmann & Samek 2018, eq. 4): `logits` (N, C), `inputs` (N, *input) -> (N, *input)."""
    return derivative(logits.sum, inputs)


def class_gradient(logits: Tensor, classes: Tensor, inputs: Tensor) -> Tensor:
    """∂z_c/∂x of one output a sample: `logits` (N, C), `classes` (N,), `inputs` (N, *input) -> (N, *input)."""
    return derivative(lambda: logits.gather(1, classes[:, None]).sum(), inputs)


def projected_jacobian(logits: Tensor, vectors: Tensor, inputs: Tensor, in_turn: bool = False) -> Tensor:
    """Σ_c v_c ∂z_c/∂x for k vectors a sample: `logits` (N, C), `vectors` (N, k, C) -> (N, k, *input).

    One backward pass for each of the k, all in one vectorised call or, `in_turn`, one after another; the whole Jacobian
    is the case of C unit vectors.
    """
    if in_turn or vectors.shape[1] == 1:
        return torch.stack([derivative(lambda v=v: (logits * v).sum(), inputs) for v in vectors.unbind(1)], 1)
    rows, = torch.autograd.grad(logits, inputs, vectors.transpose(0, 1), is_grads_batched=True,
                                create_graph=torch.is_grad_enabled(), retain_graph=True)
    return rows.transpose(0, 1)


def derivative(quantity: Callable[[], Tensor], inputs: Tensor) -> Tensor:
    """∂quantity/∂x of a scalar computed from `inputs`, which it may build when called: -> (N, *input).

    The quantity is a sum over the batch, so that each image's row is the derivative of its own part.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        return torch.autograd.grad(quantity(), inputs, create_graph=differentiable, retain_graph=True)[0]
