"""Maps of an image in several networks: the same knowledge functions as in the losses, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from kdcore import data
from kdcore.errors import UserError
from kdcore.inspect.attributions import attribution
from kdcore.inspect.networks import Named, class_names, config_of, images_of, loaded, probabilities
from kdcore.knowledge import TERMS
from kdcore.knowledge.sensitivity import SensitivityTerm
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer

CHUNK = 1000
Drawer = Callable[[nn.Module], tuple[np.ndarray, float | None]]


def image(store: Store, run: int, index: int, part: str = "test") -> dict:
    """One image of the set that a run belongs to: {"pixels" (C, H, W) in [0, 1], "label", "classes"}."""
    one, source = images_of(store, run, [index], part)
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
    one, source = images_of(store, students[0] if students else networks[0][0], [index], part)
    comparable = teacher and class_names(store, teacher[0]) == source.classes
    reference = loaded(store, *teacher) if comparable else None
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
    images = data.of_run(config_of(store, second[0]), part)
    if class_names(store, first[0]) != class_names(store, second[0]):
        return []  # what the one is asked, the other cannot answer
    networks = [loaded(store, *named) for named in (first, second)]
    chunks = [[probabilities(network, chunk.pixels) for network in networks] for chunk in images.chunks(CHUNK)]
    ours, theirs = (torch.cat(of_network) for of_network in zip(*chunks))
    wrong = (ours.argmax(1) == images.labels) & (theirs.argmax(1) != images.labels)
    surest = theirs.amax(1).masked_fill(~wrong, -1).argsort(descending=True)
    return surest[: min(count, int(wrong.sum()))].tolist()


def _entry(store: Store, named: Named, one: data.Images, draw: Drawer, asked: tuple[str, ...] | None) -> dict:
    """`asked` are the classes that the maps are about, where they are about any."""
    classes = class_names(store, named[0])
    entry = {"maps": None, "distance": None, "probabilities": None, "classes": classes, "reason": ""}
    try:
        network = loaded(store, *named)
        entry["probabilities"] = probabilities(network, one.pixels)[0].numpy()
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
