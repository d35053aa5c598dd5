"""What several networks have at each layer, beside their teacher's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from app import engine, figures
from app.components.chart import chart
from app.components.pickers import experiment_picker, student_picker, trained
from app.components.player import player

_WAYS = {"learnt": "through the connectors that the run has learnt",
         "fitted": "through linear maps that were fitted on other images, since the layers differ in width"}


def taught_students() -> tuple[list[dict], tuple[int, int]]:
    """The chosen students of the chosen experiment, and their teacher as (run, last step); stops the page without."""
    students, teacher = student_picker(trained(engine.store().runs(experiment_picker())))
    if teacher is None:
        st.info("These students have no teacher to compare with; choose an experiment with one.",
                icon=":material/block:")
        st.stop()
    return students, teacher


def while_it_trained(students: list[dict], draw: Callable[[dict, int, dict[int, dict]], None], **asked) -> None:
    """Choose a student and one of its snapshots: `draw(run, step, what the inspector says of all snapshots)`."""
    st.subheader("While it trained")
    run = st.selectbox("Student", students, index=len(students) - 1, format_func=lambda run: run["name"],
                       key="followed")
    steps = engine.store().snapshot_steps(run["id"])
    with st.spinner("Computing all snapshots…"):
        timeline = dict(zip(steps, engine.answer("layers", networks=[(run["id"], step) for step in steps], **asked)))
    player(steps, lambda step: draw(run, step, timeline))


def usable(entries: list[dict], names: list[str]) -> list[tuple[str, dict]]:
    """The networks that have something to show, by name; of the others it is said why they have not."""
    for name, entry in zip(names, entries):
        if entry["reason"]:
            st.info(f"{figures.markdown(name)}: {figures.markdown(entry['reason'])}", icon=":material/block:")
    return [(name, entry) for name, entry in zip(names, entries) if entry["layers"]]


def paired(entries: list[dict]) -> list[tuple[dict, list[dict | None]]]:
    """For each layer of the teacher: what the first network with a partner of it says, and what each does, or None.

    Students of different architectures have partners of different layers.
    """
    taps = dict.fromkeys(layer["teacher"] for entry in entries for layer in entry["layers"])
    found = [[next((layer for layer in entry["layers"] if layer["teacher"] == tap), None) for entry in entries]
             for tap in taps]
    return [(next(filter(None, of_tap)), of_tap) for of_tap in found]


def connected(shown: list[tuple[str, dict]]) -> str:
    """How students' channels were brought to their teacher's, in a sentence; empty where they are taken as they are."""
    names = {way: ", ".join(figures.markdown(name) for name, entry in shown if entry["connected"] == way)
             for way in _WAYS}
    told = [f"{names[way]} {_WAYS[way]}" for way in _WAYS if names[way]]
    return f" Compared with the teacher's channels: {'; '.join(told)}." if told else ""


def layer_maps(shown: list[tuple[str, dict]], image: dict, key: str, *, smooth: bool, overlay: bool,
               description: str) -> None:
    """Draw each layer's map, one value a place, of the teacher and of the networks, a row for each layer."""
    rows = [{"name": title_of(layer), "maps": [flat(layer["theirs"]), *(one and flat(one["ours"]) for one in ours)],
             "notes": ["", *(one and figures.number(one["paid"]) or "" for one in ours)], "mark": layer["mark"]}
            for layer, ours in paired([entry for _, entry in shown])]
    figure = figures.layer_grid(rows, columns=["Teacher", *(name for name, _ in shown)], image=image["pixels"],
                                overlay=overlay, smooth=smooth)
    chart(figure, key, f"{description} of the teacher, {', '.join(name for name, _ in shown)}, a row for each layer")


def matrices(shown: list[tuple[str, dict]], key: str, *, differences: bool, description: str) -> None:
    """Draw each section's matrix of the teacher and of the networks, or how these differ, a picture a section."""
    for i, (layer, found) in enumerate(paired([entry for _, entry in shown])):
        with_it = [(name, one) for (name, _), one in zip(shown, found) if one]
        ours = [one["ours"] - (layer["theirs"] if differences else 0) for _, one in with_it]
        height, width = layer["theirs"].shape
        st.markdown(f"**{figures.markdown(title_of(layer))}**: its first layer's {height} channels down, its last "
                    f"one's {width} across" + "; of students, what they have more or less" * differences)
        notes = ["", *(f"distance {figures.number(one['paid'])}" for _, one in with_it)]
        figure = figures.map_grid(np.stack([[layer["theirs"], *ours]]), rows=[], notes=notes,
                                  columns=["Teacher", *(name for name, _ in with_it)])
        chart(figure, f"{key}.{i}", f"{description} of {title_of(layer)}")


def where_they_differ(shown: list[tuple[str, dict]], image: dict, key: str, *, smooth: bool, overlay: bool) -> None:
    """Draw which share of neurons the teacher has on at each place, and where the students' differ; no vectors."""
    rows = [{"name": title_of(layer), "mark": None, "notes": ["", *("" for _ in shown)],
             "maps": [layer["on"], *(one and one["differing"] for one in ours)]}
            for layer, ours in paired([entry for _, entry in shown]) if layer["on"] is not None]
    if not rows:
        st.caption("The layers of these networks are vectors: their neurons have no place in the image.")
        return
    figure = figures.layer_grid(rows, columns=["Teacher", *(name for name, _ in shown)], image=image["pixels"],
                                overlay=overlay, smooth=smooth)
    chart(figure, key, "Where in the image the neurons of teacher and students differ, a row for each layer")


def flat(values: np.ndarray) -> np.ndarray:
    """One value a place, of an image's channels their mean."""
    return values if values.ndim == 2 else values.mean(0)


def title_of(layer: dict) -> str:
    """What a pair of layers is called."""
    theirs, ours = (layer[who].removesuffix(".pre") for who in ("teacher", "student"))
    return theirs if theirs == ours else f"{theirs} and the student's {ours}"
