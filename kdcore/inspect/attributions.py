"""Captum's attributions, in the same place as the maps that losses are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdcore.errors import UserError

ATTRIBUTIONS = {"saliency": "Saliency", "integrated_gradients": "Integrated gradients",
                "input_x_gradient": "Input × gradient", "deep_lift": "DeepLift", "lrp": "LRP",
                "occlusion": "Occlusion"}
VALUES = 2**18  # of images that a network sees at a time, where it sees one image many times


def attribution(name: str, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """One of captum's attributions of each image's label output: (N, C, H, W) -> (N, C, H, W). Baselines are black.

    Occlusion covers squares with an eighth of the image's side, which do not overlap. Raises UserError where the
    attribution is not defined for the network.
    """
    from captum import attr

    methods = {"saliency": attr.Saliency, "integrated_gradients": attr.IntegratedGradients,
               "input_x_gradient": attr.InputXGradient, "deep_lift": attr.DeepLift, "lrp": attr.LRP,
               "occlusion": attr.Occlusion}
    side, at_a_time = max(1, images.shape[-1] // 8), max(1, VALUES // images[0].numel())
    window = (images.shape[1], side, side)
    repeated = {"integrated_gradients": {"internal_batch_size": at_a_time},
                "occlusion": {"perturbations_per_eval": at_a_time, "sliding_window_shapes": window, "strides": window}}
    settings = {"saliency": {"abs": False}, **repeated}.get(name, {})
    size = 1 if name in repeated else len(images)
    try:
        return torch.cat([methods[name](network).attribute(some.detach().clone().requires_grad_(), target=of,
                                                           **settings).detach()
                          for some, of in zip(images.split(size), labels.split(size))])
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition(" and no")[0].partition(". ")[0].rstrip(".")
        raise UserError(f"{ATTRIBUTIONS[name]} is not defined for this network; choose another map ({reason}).") \
            from error
