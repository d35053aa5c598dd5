"""The images on which two networks differ most."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdcore import data
from kdcore.errors import UserError
from kdcore.inspect.networks import Named, class_names, config_of, drawn, loaded, probabilities
from kdcore.knowledge import TERMS
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer

CHUNK = 50
ANSWERS = "answers"


@torch.no_grad()
def differing(store: Store, first: Named, second: Named, by: str = ANSWERS, count: int = 24,
              among: int = 500) -> list[dict]:
    """Test images on which two networks differ most, of a fixed random choice of `among`.

    `by` is "answers" (half the sum of the differences of their probabilities, from 0 to 1), or a term with a picture,
    whose distance is taken, as if the first were the teacher. Each: {"index", "pixels" (C, H, W), "label", "answers"
    [(class, its probability) of each], "distance"}. Raises UserError where they look at other images, or tell other
    classes apart.
    """
    config = config_of(store, second[0])
    if class_names(store, first[0]) != class_names(store, second[0]) or (
            config_of(store, first[0]).side().images != config.side().images):
        raise UserError("These two networks tell other classes apart, or look at other images; choose two that share "
                        "them.")
    networks = [loaded(store, *named) for named in (first, second)]
    rows = drawn(data.source(config.data).test, among)
    images = data.of_run(config, "test", index=rows)
    found = [_compared(by, *networks, some) for some in images.chunks(CHUNK)]
    ours, theirs, apart = (torch.cat(part) for part in zip(*found))
    most = apart.argsort(descending=True)[:count]
    shown, classes = images[most], data.source(config.data).classes
    return [{"index": int(rows[index]), "pixels": shown.pixels[i].numpy(), "label": classes[int(shown.labels[i])],
             "answers": [_said(each[index], class_names(store, first[0])) for each in (ours, theirs)],
             "distance": float(apart[index])} for i, index in enumerate(most)]


def _compared(by: str, first: nn.Module, second: nn.Module, images: data.Images) -> tuple[Tensor, Tensor, Tensor]:
    """Both networks' probabilities, and how far apart they are (N,)."""
    ours, theirs = (probabilities(network, images.pixels) for network in (first, second))
    if by == ANSWERS:
        return ours, theirs, (ours - theirs).abs().sum(1) / 2
    term = TERMS[by]()
    return ours, theirs, term.distance(Response(second, images.pixels, images.labels), answer(term, first, images))


def _said(shares: Tensor, classes: tuple[str, ...]) -> tuple[str, float]:
    return classes[int(shares.argmax())], float(shares.max())
