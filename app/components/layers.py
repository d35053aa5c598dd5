"""What several networks have at each layer, beside their teacher's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import streamlit as st

from app import engine, figures, results
from app.components.absent import why_absent
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
    learnt = [number for number, run in enumerate(students) if results.settings([run], asked["kind"])]
    run = st.selectbox("Student", students, (learnt or [len(students) - 1])[-1], format_func=lambda run: run["name"],
                       key="followed")
    steps = engine.store().snapshot_steps(run["id"])
    with st.spinner("Computing all snapshots…"):
        timeline = dict(zip(steps, engine.answer("layers", networks=[(run["id"], step) for step in steps], **asked)))
    player(steps, lambda step: draw(run, step, timeline))


def usable(entries: list[dict], names: list[str]) -> list[tuple[str, dict]]:
    """The networks that have something to show, by name; of the others it is said why they have not."""
    why_absent(names, entries)
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


def look(disabled: bool = False) -> dict[str, bool]:
    """How maps of layers are drawn, for `figures.layer_grid`; two controls in the link."""
    return {
        "smooth": st.toggle("Smooth", key="smooth", bind="query-params", disabled=disabled,
                            help="Interpolated, or in the map's own cells."),
        "overlay": st.toggle("Image beneath", key="under", bind="query-params", disabled=disabled,
                             help="The image is seen through the maps.")}


def layer_maps(shown: list[tuple[str, dict]], image: dict, key: str, description: str, **how: bool) -> None:
    """Draw each layer's map, one value a place, of the teacher and of the networks, a row for each layer."""
    rows = [map_row(layer, ours) for layer, ours in paired([entry for _, entry in shown])]
    names = [name for name, _ in shown]
    chart(figures.layer_grid(rows, columns=["Teacher", *names], image=image["pixels"], **how), key,
          f"{description} of the teacher, {', '.join(names)}, a row for each layer")


def matrices(shown: list[tuple[str, dict]], key: str, *, differences: bool, description: str) -> None:
    """Draw each section's matrix of the teacher and of the networks, or how these differ, a picture a section."""
    for i, (layer, found) in enumerate(paired([entry for _, entry in shown])):
        with_it = [(name, one) for (name, _), one in zip(shown, found) if one]
        ours = [one["ours"] - (layer["theirs"] if differences else 0) for _, one in with_it]
        height, width = layer["theirs"].shape
        st.markdown(f"**{figures.markdown(title_of(layer))}**: its first layer's {height} channels down, its last "
                    f"one's {width} across" + "; of students, what they have more or less" * differences)
        beneath = ["", *(f"distance {figures.number(one['paid'])}" for _, one in with_it)]
        figure = figures.map_grid(np.stack([[layer["theirs"], *ours]]), rows=[], notes=beneath,
                                  columns=["Teacher", *(name for name, _ in with_it)])
        chart(figure, f"{key}.{i}", f"{description} of {title_of(layer)}")


def where_they_differ(shown: list[tuple[str, dict]], image: dict, key: str, **how: bool) -> None:
    """Draw which share of neurons the teacher has on at each place, and where the students' differ; no vectors."""
    rows = [neurons_row(layer, ours) for layer, ours in paired([entry for _, entry in shown])
            if layer["on"] is not None]
    if not rows:
        st.caption("The layers of these networks are vectors: their neurons have no place in the image.")
        return
    chart(figures.layer_grid(rows, columns=["Teacher", *(name for name, _ in shown)], image=image["pixels"], **how),
          key, "Where in the image the neurons of teacher and students differ, a row for each layer")


def map_row(layer: dict, ours: list[dict | None], channel: int | None = None) -> dict:
    """A layer as a row of `figures.layer_grid`: the teacher's map, the students', and beneath these what they pay.

    Of a channel, or of all of them their mean.
    """
    def drawn(values: np.ndarray) -> np.ndarray:
        return values if values.ndim == 2 else values.mean(0) if channel is None else values[channel]

    return {"name": title_of(layer), "maps": [drawn(layer["theirs"]), *(one and drawn(one["ours"]) for one in ours)],
            "notes": notes(one and one["paid"] for one in ours), "mark": layer["mark"]}


def neurons_row(layer: dict, ours: list[dict | None]) -> dict:
    """The same of its neurons: which share of them the teacher has on, and which share of the students' differs."""
    return {"name": title_of(layer), "maps": [layer["on"], *(one and one["differing"] for one in ours)],
            "notes": notes(None for _ in ours), "mark": None}


def notes(numbers: Iterable[float | None]) -> list[str]:
    """What stands beneath a row's maps: nothing beneath the teacher's, and a number beneath those that have one."""
    return ["", *("" if one is None else figures.number(one) for one in numbers)]


def title_of(layer: dict) -> str:
    """What a pair of layers is called."""
    theirs, ours = (layer[who].removesuffix(".pre") for who in ("teacher", "student"))
    return theirs if theirs == ours else f"{theirs} and the student's {ours}"
