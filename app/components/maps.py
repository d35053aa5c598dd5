"""Maps of several networks on one image, side by side on one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app import engine, figures
from app.components.absent import why_absent
from app.components.chart import chart
from kdcore.smoothing import blur, smoothed

SHARED, PERCENTILE, EACH = "shared", "99th percentile", "each its own"
SCALES = (SHARED, PERCENTILE, EACH)


@dataclass(frozen=True)
class Look:
    """How maps are drawn; no number depends on it."""

    absolute: bool = False
    smooth: bool = False
    scale: str = SHARED

    def values(self, entry: dict, rows: list[int] | None) -> np.ndarray:
        """What is drawn of an entry's maps, (rows, H, W): of colours the mean."""
        maps = entry["maps"] if rows is None else entry["maps"][rows]
        flat = np.abs(maps).mean(1) if self.absolute else maps.mean(1)
        return smoothed(flat) if self.smooth else flat

    def end(self, values: list[np.ndarray]) -> float:
        """The value at the end of a scale that all these have in common."""
        sizes = np.abs(np.concatenate([one.ravel() for one in values]))
        return float(np.percentile(sizes, 99) if self.scale == PERCENTILE else sizes.max()) or 1.0

    def sentence(self, width: int) -> str:
        """What has to be known of the picture of maps of a width; empty where there is nothing."""
        return (f" The picture is smoothed with a Gaussian (σ = {blur(width):.2g} pixel); the numbers are "
                "not." * self.smooth
                + " The colours end at the 99th percentile of the values in sight; what is beyond has the colour of "
                "the end." * (self.scale == PERCENTILE)
                + " Each map has a colour scale of its own: compare patterns, not strengths." * (self.scale == EACH))


PLAIN = Look()


def map_picture(entries: list[dict], names: list[str], image: dict, key: str, *, rows: list[int] | None = None,
                overlay: bool = False, number: str = "distance", look: Look = PLAIN,
                beside: Sequence[dict] = ()) -> None:
    """Draw the inspector's entries: one column a network for a single map, one row a network for several.

    `image` is the inspector's image; `rows` picks maps of an entry, all by default; `number` says what
    is written with each: a "distance" to the teacher, or a "penalty". Entries `beside` them share their scale.
    """
    why_absent(names, entries)
    drawn = [(name, entry) for name, entry in zip(names, entries) if entry["maps"] is not None]
    if not drawn:
        return
    maps = np.stack([look.values(entry, rows) for _, entry in drawn])
    scale = look.end([maps, *(look.values(entry, rows) for entry in beside if entry["maps"] is not None)])
    labels = [name for name, _ in drawn]
    if maps.shape[1] == 1:
        maps, lines, columns = maps.swapaxes(0, 1), [], labels
    else:
        lines, columns = labels, [image["classes"][row] for row in rows or range(maps.shape[1])]
    notes = [_note(entry, number) for _, entry in drawn]
    figure = figures.map_grid(maps, rows=lines, columns=columns, notes=notes, image=image["pixels"], overlay=overlay,
                              scale=scale, each=look.scale == EACH)
    on = "each on a colour scale of its own" if look.scale == EACH else "on one colour scale"
    chart(figure, key=key, description=f"Sensitivity maps of {', '.join(labels)} {on}")


def explained(kind: str, number: str) -> str:
    """What the number with each map is, as the end of a sentence."""
    if kind not in engine.catalogue()["maps"]:
        return ", and the mean squared difference to the teacher's map."
    return {"distance": ", and the mean squared difference of its maps, of all classes where there are several, to the "
            "teacher's: 0 is a perfect match. It is the very number that training on these maps makes smaller.",
            "penalty": ", and what the term makes a student pay for this image, in evaluation mode."}[number]


def _note(entry: dict, number: str) -> str:
    best = int(entry["probabilities"].argmax())
    answer = f"says {entry['classes'][best]} ({entry['probabilities'][best]:.0%})"
    return answer if entry["distance"] is None else f"{answer} · {number} {entry['distance']:.3g}"
