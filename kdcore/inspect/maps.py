"""Maps of an image in several networks: the same knowledge functions as in the losses, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import nn

from kdcore import data
from kdcore.data.decoded import of_file
from kdcore.errors import UserError
from kdcore.inspect.attributions import attribution
from kdcore.inspect.networks import Named, class_names, config_of, images_of, loaded, probabilities
from kdcore.inspect.perturbed import perturbed
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


def from_file(store: Store, run: int, content: bytes, inverted: bool = False) -> np.ndarray:
    """An image file as an image (C, H, W) in [0, 1] of the set that a run belongs to: a square, grey where the set is.

    `inverted` makes black of white. Raises UserError where it is no image that can be read, or too large.
    """
    channels, side, _ = data.source(config_of(store, run).data).shape
    image = Image.fromarray(of_file(content, side).transpose(1, 2, 0))
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32).reshape(side, side, channels) / 255
    return np.ascontiguousarray((1 - pixels if inverted else pixels).transpose(2, 0, 1))


def maps(store: Store, networks: list[Named], kind: str, index: int, part: str = "test",
         teacher: Named | None = None, settings: dict | None = None) -> list[dict]:
    """The maps of one image in several networks, and each one's distance to the teacher's.

    The image is one of the first network that is not the teacher. `kind` is a term with a picture, or
    "attribution.NAME" for one of ATTRIBUTIONS; `settings` are the term's hyper-parameters. Each entry: {"maps" (rows,
    C, H, W), or None, "distance" (the term's loss for this image, None without a teacher of the same classes),
    "probabilities" (classes,), "classes" (their names), "reason" (why there is no map, in a sentence)}.
    """
    one, source = images_of(store, _student(networks, teacher)[0], [index], part)
    return _maps(store, networks, kind, one, source.classes, teacher, settings)


def answers_to(store: Store, networks: list[Named], pixels: np.ndarray | list, kind: str, teacher: Named | None = None,
               settings: dict | None = None, perturbation: dict | None = None) -> dict:
    """What several networks say to an image that is given, and the `maps` of it.

    `pixels` (C, H, W) in [0, 1] are like the images of the first network that is not the teacher; `perturbation` are
    arguments of `perturbed`. The image's label is what the teacher says, or that first network, where there is no
    teacher of the same classes. {"pixels" (C, H, W) as the networks see them, "label", "classes" (their names), "by"
    (the network whose answer is the label), "entries" as of `maps`}. Raises UserError where the shape is another one.
    """
    student = _student(networks, teacher)
    source = data.source(config_of(store, student[0]).data)
    given = torch.as_tensor(np.asarray(pixels, np.float32))
    if given.shape != source.shape:
        raise UserError(f"An image of {source.title} has the shape {source.shape}, and this one {tuple(given.shape)}.")
    seen = perturbed(given[None], **(perturbation or {}))
    by = teacher if _comparable(store, teacher, source.classes) else student
    one = data.Images(seen, probabilities(loaded(store, *by), seen).argmax(1))
    return {"pixels": seen[0].numpy(), "label": int(one.labels), "classes": source.classes, "by": by,
            "entries": _maps(store, networks, kind, one, source.classes, teacher, settings)}


def _student(networks: list[Named], teacher: Named | None) -> Named:
    """The network whose images are looked at."""
    return next((named for named in networks if not teacher or named[0] != teacher[0]), networks[0])


def _comparable(store: Store, teacher: Named | None, classes: tuple[str, ...]) -> bool:
    return bool(teacher) and class_names(store, teacher[0]) == classes


def _maps(store: Store, networks: list[Named], kind: str, one: data.Images, classes: tuple[str, ...],
          teacher: Named | None, settings: dict | None) -> list[dict]:
    reference = loaded(store, *teacher) if _comparable(store, teacher, classes) else None
    if kind.startswith("attribution."):
        draw, of_class = _attribution_drawer(kind.removeprefix("attribution."), one, reference), True
    else:
        term = TERMS[kind](**(settings or {}))
        draw, of_class = _term_drawer(term, one, reference), term.row_per_class or term.needs_labels
    return [_entry(store, named, one, draw, classes if of_class else None) for named in networks]


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
