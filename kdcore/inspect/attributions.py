"""Captum's attributions, in the same place as the maps that losses are made of."""

from __future__ import annotations

from torch import Tensor, nn

from kdcore.errors import UserError

ATTRIBUTIONS = {"saliency": "Saliency", "integrated_gradients": "Integrated gradients",
                "input_x_gradient": "Input × gradient", "deep_lift": "DeepLift", "lrp": "LRP",
                "occlusion": "Occlusion"}


def attribution(name: str, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """One of captum's attributions of each image's label output: (N, C, H, W) -> (N, C, H, W). Baselines are black.

    Raises UserError where the attribution is not defined for the network.
    """
    from captum import attr

    methods = {"saliency": attr.Saliency, "integrated_gradients": attr.IntegratedGradients,
               "input_x_gradient": attr.InputXGradient, "deep_lift": attr.DeepLift, "lrp": attr.LRP,
               "occlusion": attr.Occlusion}
    side = max(1, images.shape[-1] // 8)
    settings = {"saliency": {"abs": False}, "occlusion": {"perturbations_per_eval": 128,
                                                          "sliding_window_shapes": (images.shape[1], side, side)}}
    try:
        return methods[name](network).attribute(images.detach().clone().requires_grad_(), target=labels,
                                                **settings.get(name, {})).detach()
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition(" and no")[0].partition(". ")[0].rstrip(".")
        raise UserError(f"{ATTRIBUTIONS[name]} is not defined for this network; choose another map ({reason}).") \
            from error
