"""Maps of an image in several networks: the same knowledge functions as in the losses, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from kdcore import data
from kdcore.data.decoded import of_file
from kdcore.errors import UserError
from kdcore.inspect.attributions import attribution
from kdcore.inspect.networks import Named, class_names, config_of, images_of, loaded, probabilities
from kdcore.inspect.noise import noisy, under_noise
from kdcore.inspect.perturbed import perturbed
from kdcore.knowledge import TERMS
from kdcore.knowledge.sensitivity import SensitivityTerm
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer

CHUNK = 1000
VALUES, MOST = 2**19, 100  # of maps that are made at a time, and of images
Drawer = Callable[[nn.Module], tuple[Tensor, float | None]]


def image(store: Store, run: int, index: int, part: str = "test", noise: float = 0.0) -> dict:
    """One image of the set that a run belongs to: {"pixels" (C, H, W) in [0, 1], "label", "classes"}.

    With `noise`, its standard deviation, under the first draw of it, as far as that can be shown.
    """
    one, source = images_of(store, run, [index], part)
    return {"pixels": noisy(one.pixels, noise, seed=0)[0].clamp(0, 1).numpy(), "label": int(one.labels[0]),
            "classes": source.classes}


def from_file(store: Store, run: int, content: bytes, inverted: bool = False) -> np.ndarray:
    """An image file as an image (C, H, W) in [0, 1] of the set that a run belongs to: a square, grey where the set is.

    `inverted` makes black of white. Raises UserError where it is no image that can be read, or too large.
    """
    channels, side, _ = data.source(config_of(store, run).data).shape
    image = Image.fromarray(of_file(content, side).transpose(1, 2, 0))
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32).reshape(side, side, channels) / 255
    return np.ascontiguousarray((1 - pixels if inverted else pixels).transpose(2, 0, 1))


def maps(store: Store, networks: list[Named], kind: str, index: int, part: str = "test",
         teacher: Named | None = None, settings: dict | None = None, noise: float = 0.0, draws: int = 1) -> list[dict]:
    """The maps of one image in several networks, and each one's distance to the teacher's.

    The image is one of the first network that is not the teacher. `kind` is a term with a picture, or
    "attribution.NAME" for one of ATTRIBUTIONS; `settings` are the term's hyper-parameters. With `noise`, its standard
    deviation, everything is the mean over as many noisy images as `draws` says (SmoothGrad, Smilkov et al. 2017). Each
    entry: {"maps" (rows, C, H, W), or None, "distance" (the term's loss for this image, None without a teacher of the
    same classes), "probabilities" (classes,), "classes" (their names), "reason" (why there is no map, in a sentence)}.
    """
    one, source = images_of(store, asked_of(networks, teacher), [index], part)
    return _entries(store, networks, kind, one, source.classes, teacher, settings, noise, draws)


def answers_to(store: Store, networks: list[Named], pixels: np.ndarray | list, kind: str, teacher: Named | None = None,
               settings: dict | None = None, perturbation: dict | None = None) -> dict:
    """What several networks say to an image that is given, and the `maps` of it.

    `pixels` (C, H, W) in [0, 1] are like the images of the first network that is not the teacher; `perturbation` are
    arguments of `perturbed`. The image's label is what the teacher says, or that first network, where there is no
    teacher of the same classes. {"pixels" (C, H, W) as the networks see them, "label", "classes" (their names), "by"
    (the network whose answer is the label), "entries" as of `maps`}. Raises UserError where the shape is another one.
    """
    run = asked_of(networks, teacher)
    source = data.source(config_of(store, run).data)
    given = torch.as_tensor(np.asarray(pixels, np.float32))
    if given.shape != source.shape:
        raise UserError(f"An image of {source.title} has the shape {source.shape}, and this one {tuple(given.shape)}.")
    seen = perturbed(given[None], **(perturbation or {}))
    student = next(named for named in networks if named[0] == run)
    by = teacher if _comparable(store, teacher, source.classes) else student
    one = data.Images(seen, probabilities(loaded(store, *by), seen).argmax(1))
    return {"pixels": seen[0].numpy(), "label": int(one.labels), "classes": source.classes, "by": by,
            "entries": _entries(store, networks, kind, one, source.classes, teacher, settings)}


def timeline(store: Store, run: int, steps: list[int], kind: str, index: int, **asked) -> dict[int, dict]:
    """`maps` for snapshots of a run, asked in the same way: {step: entry}."""
    return dict(zip(steps, maps(store, [(run, step) for step in steps], kind, index, **asked)))


def class_maps(store: Store, networks: list[Named], kind: str, label: int, most: int = 100,
               teacher: Named | None = None, settings: dict | None = None, noise: float = 0.0,
               draws: int = 1) -> dict:
    """The means of `maps` over the first test images of a class, at most so many.

    With `noise` each image is seen under draws of its own. {"pixels" (C, H, W), the mean image (under the first draw),
    "label" and "classes" as of an `image`, "count" of the images, "entries" as `maps` has them}. Raises UserError where
    there is no such image.
    """
    run = asked_of(networks, teacher)
    labels = data.arrays(config_of(store, run).data)["test"][1]
    found = np.flatnonzero(labels == label)[:most].tolist()
    images, source = images_of(store, run, found, "test")
    if not found:
        raise UserError(f"{source.title} has no test image of this class; choose another one.")
    return {"pixels": noisy(images.pixels, noise, seed=0).mean(0).clamp(0, 1).numpy(), "label": label,
            "classes": source.classes, "count": len(found),
            "entries": _entries(store, networks, kind, images, source.classes, teacher, settings, noise, draws)}


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


def asked_of(networks: list[Named], teacher: Named | None) -> int:
    """The run whose images are meant: the first that is not the teacher."""
    return next((run for run, _ in networks if not teacher or run != teacher[0]), networks[0][0])


def _comparable(store: Store, teacher: Named | None, classes: tuple[str, ...]) -> bool:
    return bool(teacher) and class_names(store, teacher[0]) == classes


def at_a_time(images: data.Images, rows: int) -> int:
    """Of how many images maps are made at a time, which may have so many rows: all together are large."""
    return max(1, min(MOST, VALUES // (rows * images.values_per_image)))


def row_per_class(kind: str, settings: dict | None) -> bool:
    """Whether there may be a map of each class."""
    term = None if kind.startswith("attribution.") else TERMS[kind](**(settings or {}))
    return term is not None and (term.row_per_class or getattr(term, "classes", None) == "all")


def drawer(store: Store, kind: str, images: data.Images, classes: tuple[str, ...], teacher: Named | None,
           settings: dict | None, *, rows: Tensor | None = None,
           measured: bool = True) -> Callable[[Named], tuple[Tensor, float | None]]:
    """What makes a network's maps of these images (N, rows, C, H, W), and the mean of their distances where it has one.

    `classes` are those of the images. Where the distances are not to be `measured`, `rows` (N, k) may name the classes
    whose maps are wanted alone. Raises UserError, as what it returns does, where there is no such map.
    """
    reference = loaded(store, *teacher) if _comparable(store, teacher, classes) else None
    if kind.startswith("attribution."):
        theirs = reference if measured else None
        draw, of_class = _attribution_drawer(kind.removeprefix("attribution."), images, theirs), True
    else:
        term = TERMS[kind](**(settings or {}))
        draw = _term_drawer(term, images, reference, rows, measured)
        of_class = term.row_per_class or term.needs_labels

    def drawn(named: Named) -> tuple[Tensor, float | None]:
        if of_class and class_names(store, named[0]) != classes:
            raise UserError("It tells other classes apart, and has no maps of these; choose the summed Jacobian, which "
                            "is about no class.")
        return draw(loaded(store, *named))

    return drawn


def _entries(store: Store, networks: list[Named], kind: str, images: data.Images, classes: tuple[str, ...],
             teacher: Named | None, settings: dict | None, noise: float = 0.0, draws: int = 1) -> list[dict]:
    """Means over the images, of which a few are drawn at a time, in all networks: maps of many are large.

    With `noise`, its standard deviation, over so many draws of it for each image.
    """
    draws = draws if noise else 1
    entries = [{"maps": None, "distance": None, "probabilities": None, "classes": class_names(store, run), "reason": ""}
               for run, _ in networks]
    size = at_a_time(images, len(classes) if row_per_class(kind, settings) else 1)
    for seen in under_noise(images, noise, draws, size):
        for some in seen.chunks(size):
            _add(store, networks, entries, drawer(store, kind, some, classes, teacher, settings), some,
                 len(some) / (draws * len(images)))
    return entries


def _add(store: Store, networks: list[Named], entries: list[dict], draw: Callable, some: data.Images,
         share: float) -> None:
    """Some images' part of the means."""
    for named, entry in zip(networks, entries):
        found = {}
        try:
            found["probabilities"] = probabilities(loaded(store, *named), some.pixels).mean(0).numpy()
            shown, found["distance"] = draw(named)
            found["maps"] = shown.mean(0).numpy()
        except UserError as error:
            entry["reason"] = str(error)
        for name, value in found.items():
            if value is not None:
                entry[name] = share * value + (0 if entry[name] is None else entry[name])


def _term_drawer(term: SensitivityTerm, images: data.Images, teacher: nn.Module | None, rows: Tensor | None,
                 measured: bool) -> Drawer:
    helped = term.needs_teacher and not term.zero_at_equality
    if teacher is None and helped:
        raise UserError(f"{term.title} is made with the teacher's help; choose a student that has a teacher of the "
                        "same classes.")
    chosen = getattr(term, "classes", None) == "teacher"  # whose derivatives are drawn, the teacher says
    taught = answer(term, teacher, images) if teacher is not None and (measured or helped or chosen) else {}
    compared = measured and (teacher is not None or not term.needs_teacher)

    @torch.no_grad()
    def draw(network: nn.Module) -> tuple[Tensor, float | None]:
        response = Response(network, images.pixels, images.labels, rows=rows)
        return term.picture(response, taught), float(term.loss(response, taught)) if compared else None

    return draw


def _attribution_drawer(name: str, images: data.Images, teacher: nn.Module | None) -> Drawer:
    theirs = attribution(name, teacher, images.pixels, images.labels) if teacher is not None else None

    def draw(network: nn.Module) -> tuple[Tensor, float | None]:
        ours = attribution(name, network, images.pixels, images.labels)
        return ours[:, None], float((ours - theirs).square().mean()) if theirs is not None else None

    return draw
