"""What the pages draw, as arrays: the same knowledge functions as in the losses, in evaluation mode.

Networks are named by (run, step); a step of None is the last snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from kdcore import data, snapshots
from kdcore.config import RunConfig, read
from kdcore.data.sources import Source
from kdcore.errors import UserError
from kdcore.knowledge import TERMS
from kdcore.knowledge.sensitivity import SensitivityTerm
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer

CHUNK = 1000
Named = tuple[int, int | None]
Drawer = Callable[[nn.Module], tuple[np.ndarray, float | None]]


def image(store: Store, run: int, index: int, part: str = "test") -> dict:
    """One image of the set that a run belongs to: {"pixels" (C, H, W) in [0, 1], "label", "classes"}."""
    one, source = _one(store, run, index, part)
    return {"pixels": one.pixels[0].numpy(), "label": int(one.labels[0]), "classes": source.classes}


def maps(store: Store, networks: list[Named], kind: str, index: int, part: str = "test",
         teacher: Named | None = None, settings: dict | None = None) -> list[dict]:
    """The maps of one image in several networks, and each one's distance to the teacher's.

    The image is one of the first network that is not the teacher. `kind` is a term with a picture, or
    "attribution.NAME" for one of ATTRIBUTIONS; `settings` are the term's hyper-parameters. Each entry: {"maps" (rows,
    C, H, W), or None, "distance" (the term's loss for this image, None without a teacher of the same classes),
    "probabilities" (classes,), "classes" (their names), "reason" (why there is no map, in a sentence)}.
    """
    students = [run for run, _ in networks if not teacher or run != teacher[0]]
    one, source = _one(store, students[0] if students else networks[0][0], index, part)
    comparable = teacher and _classes(store, teacher[0]) == source.classes
    reference = _network(store, *teacher) if comparable else None
    if kind.startswith("attribution."):
        draw, of_class = _attribution_drawer(kind.removeprefix("attribution."), one, reference), True
    else:
        term = TERMS[kind](**(settings or {}))
        draw, of_class = _term_drawer(term, one, reference), term.row_per_class or term.needs_labels
    return [_entry(store, named, one, draw, source.classes if of_class else None) for named in networks]


def timeline(store: Store, run: int, steps: list[int], kind: str, index: int, part: str = "test",
             teacher: Named | None = None, settings: dict | None = None) -> dict[int, dict]:
    """`maps` for snapshots of a run: {step: entry}."""
    return dict(zip(steps, maps(store, [(run, step) for step in steps], kind, index, part, teacher, settings)))


def disagreements(store: Store, first: Named, second: Named, count: int = 50, part: str = "test") -> list[int]:
    """Images that the first network gets right and the second wrong, the second's surest mistakes first.

    `part` is "test", or "validation" for the images that the second network's run held out.
    """
    images = data.of_run(_config(store, second[0]), part)
    if _classes(store, first[0]) != _classes(store, second[0]):
        return []  # what the one is asked, the other cannot answer
    networks = [_network(store, *named) for named in (first, second)]
    chunks = [[_probabilities(network, chunk.pixels) for network in networks] for chunk in images.chunks(CHUNK)]
    ours, theirs = (torch.cat(of_network) for of_network in zip(*chunks))
    wrong = (ours.argmax(1) == images.labels) & (theirs.argmax(1) != images.labels)
    surest = theirs.amax(1).masked_fill(~wrong, -1).argsort(descending=True)
    return surest[: min(count, int(wrong.sum()))].tolist()


def _entry(store: Store, named: Named, one: data.Images, draw: Drawer, asked: tuple[str, ...] | None) -> dict:
    """`asked` are the classes that the maps are about, where they are about any."""
    classes = _classes(store, named[0])
    entry = {"maps": None, "distance": None, "probabilities": None, "classes": classes, "reason": ""}
    try:
        network = _network(store, *named)
        entry["probabilities"] = _probabilities(network, one.pixels)[0].numpy()
        if asked not in (None, classes):
            raise UserError("It tells other classes apart, and has no maps of these; choose the summed Jacobian, which "
                            "is about no class.")
        entry["maps"], entry["distance"] = draw(network)
    except UserError as error:
        entry["reason"] = str(error)
    return entry


def _term_drawer(term: SensitivityTerm, one: data.Images, teacher: nn.Module | None) -> Drawer:
    if teacher is None and term.needs_teacher and not term.zero_at_equality:
        raise UserError(f"{term.title} is made with the teacher's help; choose a student that has a teacher of the "
                        "same classes.")
    taught = answer(term, teacher, one) if teacher is not None else {}

    @torch.no_grad()
    def draw(network: nn.Module) -> tuple[np.ndarray, float | None]:
        response = Response(network, one.pixels, one.labels)
        comparable = teacher is not None or not term.needs_teacher
        return (term.picture(response, taught)[0].numpy(),
                float(term.loss(response, taught)) if comparable else None)

    return draw


def _attribution_drawer(name: str, one: data.Images, teacher: nn.Module | None) -> Drawer:
    theirs = attribution(name, teacher, one.pixels, one.labels)[0] if teacher is not None else None

    def draw(network: nn.Module) -> tuple[np.ndarray, float | None]:
        ours = attribution(name, network, one.pixels, one.labels)[0]
        return ours[None].numpy(), float((ours - theirs).square().mean()) if theirs is not None else None

    return draw


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


@torch.no_grad()
def _probabilities(network: nn.Module, pixels: Tensor) -> Tensor:
    return network(pixels).softmax(1)


def _network(store: Store, run: int, step: int | None) -> nn.Module:
    steps = store.snapshot_steps(run)
    return _loaded(store, run, steps[-1] if step is None and steps else step)


@lru_cache(maxsize=100)
def _loaded(store: Store, run: int, step: int | None) -> nn.Module:
    return snapshots.network(store, run, step).requires_grad_(False)


def _one(store: Store, run: int, index: int, part: str) -> tuple[data.Images, Source]:
    config = _config(store, run)
    source = data.source(config.data)
    rows = _rows(config, source, part)
    if not 0 <= index < len(rows):
        raise UserError(f"{source.title} has {part} images 0 to {len(rows) - 1}; there is no image {index}.")
    stored = "test" if part == "test" else "train"
    return data.images(config.data, stored, index=rows[index : index + 1])[:], source


def _rows(config: RunConfig, source: Source, part: str) -> Tensor:
    """Positions of a part's images in the set: all to train or to test on, or those that the run holds out."""
    if part == "validation":
        held_out = data.selection(config).validation
        if not len(held_out):
            raise UserError("This run holds out no images for validation; choose the test images.")
        return held_out
    return torch.arange(source.test if part == "test" else source.train)


def _classes(store: Store, run: int) -> tuple[str, ...]:
    """What a network's outputs are called."""
    return _config(store, run).side().classes


def _config(store: Store, run: int) -> RunConfig:
    return read(store.run(run)["config"])
