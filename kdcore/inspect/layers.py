"""What is compared layer by layer: each term's own numbers on some images, in evaluation mode."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from torch import Tensor, nn

from kdcore import data, snapshots
from kdcore.errors import UserError
from kdcore.inspect.networks import Named, class_names, config_of, entries, images_of, last_step, loaded, probabilities
from kdcore.knowledge import TERMS, Bound, Layer
from kdcore.knowledge.information import deviation
from kdcore.knowledge.layers import LayerTerm
from kdcore.probe import parts
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer, union


@torch.no_grad()
def layers(store: Store, networks: list[Named], kind: str, indices: list[int], teacher: Named, part: str = "test",
           settings: dict | None = None, alike: bool = False) -> list[dict]:
    """What teacher and students have at each layer that a term compares: means over the images.

    `alike` puts the rows and columns of matrices that are alike in the teacher's next to each other, in all networks'.

    The images are of the first network; `settings` are the term's hyper-parameters. Each entry: {"layers": [{"teacher"
    and "student" (the taps), "theirs" and "ours" (arrays without a batch), "channels" (how many have a picture each; 0
    where there is one in all), "spread" (σ of each of the teacher's channels) and "deviation" (|t − μ|/σ) where the
    term has them, "paid" (what the student pays there), "mark" (the place that it is about, as shares of height and
    width, where there is one)}], "connected" ("" where channels are compared as they are; "learnt" where the run's own
    connectors stand between; "fitted" where a least-squares map on other images does), "probabilities" (classes,),
    "classes", "reason" (why there is nothing, in a sentence)}.
    """
    images, _ = images_of(store, networks[0][0], indices, part)
    term = TERMS[kind](**(settings or {}))

    def fill(named: Named, entry: dict) -> None:
        entry["classes"] = class_names(store, named[0])
        network, theirs = loaded(store, *named), loaded(store, *teacher)
        entry["probabilities"] = probabilities(network, images.pixels).mean(0).numpy()
        bound, entry["connected"] = bound_of(store, named, term, network, theirs)
        entry["layers"] = _layers(term, bound, network, theirs, images, alike)

    return entries(networks, fill, layers=[], connected="", probabilities=None, classes=())


def stages(store: Store, run: int) -> list[tuple[str, int]]:
    """The stages of a run's training: (name, the step at which it ends)."""
    config = config_of(store, run)
    return [(stage.name, end) for stage, end in zip(config.method.stages, config.ends())]


def _layers(term: LayerTerm, bound: Bound, network: nn.Module, teacher: nn.Module, images: data.Images,
            alike: bool) -> list[dict]:
    taught, response = answer(term, teacher, images, bound), response_of(term, bound, network, images)
    paid, found = term.paid(response, taught, bound), []
    for i, (layer, both) in enumerate(zip(_ends(bound, len(paid)), term.compared(response, taught, bound))):
        mark = term.marked(taught, i, layer) if len(images) == 1 else None
        found.append({**_layer(term, layer, images, *both), "paid": float(paid[i].mean()),
                      "mark": None if mark is None else tuple(mark[0].tolist())})
    for layer in found if alike else ():
        rows, columns = _order(layer["theirs"]), _order(layer["theirs"].T)
        layer |= {who: layer[who][rows][:, columns] for who in ("theirs", "ours")}
    return found


def _layer(term: LayerTerm, layer: Layer, images: data.Images, ours: Tensor | tuple[Tensor, Tensor],
           theirs: Tensor) -> dict:
    ours, spread = ours if isinstance(ours, tuple) else (ours, None)
    shape = term.drawn_as(layer, tuple(images.pixels.shape[1:]))
    drawn = {"theirs": theirs.float().mean(0), "ours": ours.mean(0)}
    told = {name: (values.view(shape) if shape else values).numpy() for name, values in drawn.items()}
    if spread is not None:
        told |= {"spread": spread.numpy(), "deviation": deviation(ours, theirs, spread).abs().mean(0).numpy()}
    return {"teacher": layer.teacher, "student": layer.student, "spread": None, "deviation": None,
            "channels": ours.shape[1] if shape is None and ours.dim() == 4 else 0, **told}


def _order(matrix: np.ndarray) -> np.ndarray:
    """The order of a matrix's rows in which those that are alike, up to their size, lie next to each other."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # takes half a second

    if len(matrix) == 1:
        return np.array([0])
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return leaves_list(linkage(matrix / np.where(lengths > 0, lengths, 1), "average", optimal_ordering=True))


def _ends(bound: Bound, count: int) -> tuple[Layer, ...]:
    """The layer that each number is about: of several that make one, the last."""
    return bound.layers[len(bound.layers) // count - 1 :: len(bound.layers) // count]


def response_of(term: LayerTerm, bound: Bound, network: nn.Module, images: data.Images, side: str = "student_taps",
              differentiable: bool | None = None) -> Response:
    """What a network answers of the layers that a term reads on its side of the pair."""
    return Response(network, images.pixels, images.labels, taps=union([getattr(bound, side)]),
                    differentiable=term.differentiates_input if differentiable is None else differentiable)


def bound_of(store: Store, named: Named, term: LayerTerm, network: nn.Module, teacher: nn.Module) -> tuple[Bound, str]:
    """What the term settles for the pair, with the connectors that the run has learnt, or else fitted ones."""
    config = config_of(store, named[0])
    if reason := term.unsuited(config.pair()):
        raise UserError(f"{term.title} cannot be compared: {reason}.")
    bound = term.bind(config.pair()).eval()
    if all(isinstance(module, nn.Identity) for module in bound.connectors):
        return bound, ""
    learnt = snapshots.load(store.snapshot(named[0], last_step(store, *named)))["connectors"]
    for stage in config.method.stages:
        for key, weighted in stage.objective.items():
            if weighted.term.kind == term.kind and key in learnt:
                with suppress(RuntimeError):  # of other settings, and so of other layers
                    bound.load_state_dict(learnt[key])
                    return bound, "learnt"
    _, others = parts(data.of_run(config, "test"), len(config.side().classes))
    ours = response_of(term, bound, network, others, differentiable=False)
    return term.fitted(ours, response_of(term, bound, teacher, others, "teacher_taps", False), bound).eval(), "fitted"
