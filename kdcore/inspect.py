"""What the pages draw, as arrays: the same knowledge functions as in the losses, in evaluation mode.

Networks are named by (run, step); a step of None is the last snapshot.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from kdcore import data, snapshots
from kdcore.config import RunConfig, read
from kdcore.data.sources import SOURCES
from kdcore.errors import UserError
from kdcore.knowledge import TERMS
from kdcore.response import Response
from kdcore.store import Store

Named = tuple[int, int | None]


def image(store: Store, run: int, index: int, part: str = "test") -> dict:
    """One image of the set that a run belongs to: {"pixels" (C, H, W) in [0, 1], "label", "classes"}."""
    config = _config(store, run)
    source = SOURCES[config.data.name]
    count = source.test if part == "test" else source.train
    if not 0 <= index < count:
        raise UserError(f"{source.title} has {part} images 0 to {count - 1}; there is no image {index}.")
    one = data.images(config.data.name, part, index=torch.tensor([index]))
    return {"pixels": one.pixels[0].numpy(), "label": int(one.labels[0]), "classes": source.classes}


def maps(store: Store, networks: list[Named], kind: str, index: int, part: str = "test",
         teacher: Named | None = None, settings: dict | None = None) -> list[dict]:
    """The maps of one image in several networks, and each one's distance to the teacher's.

    `kind` is a term with a picture, or "attribution.NAME" for one of ATTRIBUTIONS; `settings` are the term's
    hyper-parameters. Each entry: {"maps" (rows, C, H, W), "distance" (the term's loss for this image, None without a
    teacher), "probabilities" (classes,), "reason" (why there is no map, in a sentence)}.
    """
    config = _config(store, networks[0][0])
    one = data.images(config.data.name, part, index=torch.tensor([index]))
    draw = _attribution_maps if kind.startswith("attribution.") else _term_maps
    reference = _network(store, *teacher) if teacher else None
    return [draw(_network(store, *named), reference, kind, one, settings or {}) for named in networks]


def timeline(store: Store, run: int, steps: list[int], kind: str, index: int, part: str = "test",
             teacher: Named | None = None, settings: dict | None = None) -> dict[int, dict]:
    """`maps` for snapshots of a run: {step: entry}."""
    return dict(zip(steps, maps(store, [(run, step) for step in steps], kind, index, part, teacher, settings)))


def disagreements(store: Store, first: Named, second: Named, count: int = 50) -> list[int]:
    """Test images that the first network gets right and the second wrong, the second's surest mistakes first."""
    images = data.images(_config(store, first[0]).data.name, "test")
    ours, theirs = (_probabilities(_network(store, *named), images.pixels) for named in (first, second))
    wrong = (ours.argmax(1) == images.labels) & (theirs.argmax(1) != images.labels)
    surest = theirs.amax(1).masked_fill(~wrong, -1).argsort(descending=True)
    return surest[: min(count, int(wrong.sum()))].tolist()


def _term_maps(network: nn.Module, teacher: nn.Module | None, kind: str, one: data.Images, settings: dict) -> dict:
    term = TERMS[kind](kind=kind, **settings)
    response = Response(network, one.pixels, one.labels)
    with torch.no_grad():
        taught = term.teach(Response(teacher, one.pixels, one.labels)) if teacher is not None else {}
        if teacher is None and kind_reads_teacher(kind):
            return {"maps": None, "distance": None, "reason": f"{term.title} needs a teacher.",
                    "probabilities": response.logits[0].softmax(0).numpy()}
        comparable = teacher is not None or not term.needs_teacher
        return {"maps": term.picture(response, taught)[0].numpy(), "reason": "",
                "distance": float(term.loss(response, taught)) if comparable else None,
                "probabilities": response.logits[0].detach().softmax(0).numpy()}


def kind_reads_teacher(kind: str) -> bool:
    """Whether the picture itself, not only its distance, is made with the teacher's help."""
    return TERMS[kind].needs_teacher and not TERMS[kind].zero_at_equality


def _attribution_maps(network: nn.Module, teacher: nn.Module | None, kind: str, one: data.Images,
                      settings: dict) -> dict:
    name = kind.removeprefix("attribution.")
    probabilities = _probabilities(network, one.pixels)[0].numpy()
    try:
        found = attribution(name, network, one.pixels, one.labels)[0]
        theirs = attribution(name, teacher, one.pixels, one.labels)[0] if teacher is not None else None
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        return {"maps": None, "distance": None, "probabilities": probabilities,
                "reason": f"{ATTRIBUTIONS[name]} is not defined for this network: {error}"}
    return {"maps": found[None].numpy(), "probabilities": probabilities, "reason": "",
            "distance": float((found - theirs).square().mean()) if theirs is not None else None}


ATTRIBUTIONS = {"saliency": "Saliency", "integrated_gradients": "Integrated gradients",
                "input_x_gradient": "Input × gradient", "deep_lift": "DeepLift", "lrp": "LRP",
                "occlusion": "Occlusion"}


def attribution(name: str, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """One of captum's attributions of each image's label output: (N, C, H, W) -> (N, C, H, W). Baselines are black."""
    from captum import attr

    inputs = images.detach().clone().requires_grad_()
    if name == "occlusion":
        side = max(1, images.shape[-1] // 8)
        found = attr.Occlusion(network).attribute(inputs, (images.shape[1], side, side), target=labels)
    elif name == "saliency":
        found = attr.Saliency(network).attribute(inputs, target=labels, abs=False)
    else:
        methods = {"integrated_gradients": attr.IntegratedGradients, "input_x_gradient": attr.InputXGradient,
                   "deep_lift": attr.DeepLift, "lrp": attr.LRP}
        found = methods[name](network).attribute(inputs, target=labels)
    return found.detach()


@torch.no_grad()
def _probabilities(network: nn.Module, pixels: Tensor) -> Tensor:
    return network(pixels).softmax(1)


def _network(store: Store, run: int, step: int | None) -> nn.Module:
    last = store.snapshot_steps(run)[-1:] if step is None else [step]
    return _loaded(store, run, *last) if last else snapshots.network(store, run)


@lru_cache(maxsize=100)
def _loaded(store: Store, run: int, step: int) -> nn.Module:
    return snapshots.network(store, run, step).requires_grad_(False)


def _config(store: Store, run: int) -> RunConfig:
    return read(store.run(run)["config"])
