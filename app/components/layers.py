"""What several networks have at each layer, beside their teacher's."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import figures
from app.components.chart import chart

TOLD = {"": "", "learnt": "through the connectors that it has learnt", "fitted": "through a linear map that was fitted "
        "on other images, since the layers differ in width"}


def usable(entries: list[dict], names: list[str]) -> list[tuple[str, dict]]:
    """The networks that have something to show, by name; of the others it is said why they have not."""
    for name, entry in zip(names, entries):
        if entry["reason"]:
            st.info(f"{figures.markdown(name)}: {figures.markdown(entry['reason'])}", icon=":material/block:")
    return [(name, entry) for name, entry in zip(names, entries) if entry["layers"]]


def layer_maps(shown: list[tuple[str, dict]], image: dict, key: str, *, smooth: bool, overlay: bool,
               description: str) -> None:
    """Draw each layer's map, one value a place, of the teacher and of the networks, a row for each layer."""
    rows = [{"name": _title(layer), "maps": [_flat(layer["theirs"]), *(_flat(entry["layers"][i]["ours"])
                                                                       for _, entry in shown)],
             "notes": ["", *(f"{entry['layers'][i]['paid']:.3g}" for _, entry in shown)], "mark": layer["mark"]}
            for i, layer in enumerate(shown[0][1]["layers"])]
    figure = figures.layer_grid(rows, columns=["Teacher", *(name for name, _ in shown)], image=image["pixels"],
                                overlay=overlay, smooth=smooth)
    chart(figure, key, f"{description} of the teacher, {', '.join(name for name, _ in shown)}, a row for each layer")


def _flat(values: np.ndarray) -> np.ndarray:
    """One value a place, of an image's channels their mean."""
    return values if values.ndim == 2 else values.mean(0)


def _title(layer: dict) -> str:
    theirs, ours = (layer[who].removesuffix(".pre") for who in ("teacher", "student"))
    return theirs if theirs == ours else f"{theirs} and the student's {ours}"
