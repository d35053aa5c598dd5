"""The two small worlds: what can be chosen in each, what is said of it, and how its students are drawn at a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import streamlit as st

from app import figures
from app.components.chart import chart
from app.components.folded import folded


class Slider(NamedTuple):
    """A choice among values, which lives in the link under its key."""

    label: str
    values: list[float]
    default: float
    key: str
    help: str


@dataclass(frozen=True)
class World:
    """What is asked of the inspector, which of its arguments are chosen, and what is made of the answer."""

    question: str
    file: str
    sentence: str
    learners: str
    sliders: dict[str, Slider]
    draw: Callable[[dict, int], None]  # the inspector's answer at a step
    further: Callable[[dict, dict[str, Any]], None] | None = None  # the answer, and what was asked


def controls(world: World) -> dict[str, Any]:
    """The arguments of the world's question."""
    *places, last = st.columns(3, vertical_alignment="bottom")
    chosen = {argument: place.select_slider(slider.label, slider.values, slider.default, key=slider.key,
                                            bind="query-params", help=slider.help)
              for place, (argument, slider) in zip(places, world.sliders.items())}
    return {**chosen, "seed": last.number_input("Seed", 0, 99, 3, key="seed", bind="query-params", help="Another "
                                                "teacher, other points, other first weights of the students.")}


@st.fragment
def minimised(found: dict) -> None:
    """The formula of each student's loss, to be unfolded."""
    if box := folded("What each student minimises", "minimised"):
        for student in found["students"]:
            box.markdown(f"**{student['title']}**")
            box.latex(student["formula"], width="content")


def _curves(found: dict, step: int) -> None:
    chart(figures.curves_and_slopes(found, found["steps"].index(step)), "curves", "The curves and slopes of the "
          "students, each with its teacher's")
    st.caption("Dashed: the teacher. Short thick lines: the slopes at the points that the students see.")
    for place, what in zip(st.columns(2), ("value", "slope")):
        with place:
            _over_training(found, step, f"{what}_error", f"squared error of the {what}s",
                           f"The mean squared error of the {what}s over all inputs while the students trained")


def _regions(found: dict, step: int) -> None:
    chart(figures.regions(found, found["steps"].index(step)), "regions", "Decision regions, decision boundaries and "
          "activation boundaries of the teacher and three students")
    _over_training(found, step, "agreement", "activations that agree", "Share of the plane on which activations agree "
                   "with the teacher's while the students train", percent=True, ends=found["ends"])
    st.caption("Neurons are compared one by one, over the whole picture. Who has labels alone never hears which neuron "
               "of the teacher is which, and agrees by chance (Heo et al. 2019, Fig. 1 and eq. 4).")


def _over_training(found: dict, step: int, what: str, title: str, description: str, **look) -> None:
    lines = {student["title"]: student[what] for student in found["students"]}
    chart(figures.over_training(lines, found["steps"], step, title, **look), what, description)


def _two_sides(found: dict, asked: dict[str, Any]) -> None:
    st.subheader("Is noise the same as slopes?")
    st.latex(r"\mathbb{E}_\xi \left(z_t(x+\xi) - z_s(x+\xi)\right)^2 \approx \left(z_t - z_s\right)^2 + \sigma^2"
             r"\left(\frac{\partial z_t}{\partial x} - \frac{\partial z_s}{\partial x}\right)^2", width="content")
    chart(figures.two_sides(found, asked["noise"]), "sides", "Both sides of Proposition 1 over the noise, for each "
          "student")
    st.caption("Both sides for the trained students at the points they saw, the left one a mean over 1000 draws of the "
               "noise. The two lines of a student part where curves bend within the reach of the noise: a slope no "
               "longer tells what the noise does. Of networks with ReLU, which are straight between their kinks, they "
               "part where the noise reaches a kink (Srinivas & Fleuret 2018, Prop. 1). A student without any error "
               "has a right side of 0, below the picture.")


WORLDS = {
    "One input": World(
        "line_world", "one-input",
        "The teacher is a curve, and many curves go through the few points that a student sees. Told only the values "
        "there, it guesses what lies between. Told the **slopes** as well, it guesses better; so it does when it sees "
        "the teacher at inputs with a little **noise**, which tells the slopes without ever computing one.",
        "three students", {
            "points": Slider("Points", [3, 4, 5, 6, 8, 10, 15], 6, "points", "At how many inputs the students see "
                             "their teacher."),
            "noise": Slider("Noise σ", [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2], 0.05, "sigma", "How far inputs "
                            "are shaken for the third student; for the second, slopes count σ² times as much as "
                            "values.")},
        _curves, _two_sides),
    "Two inputs": World(
        "plane_world", "two-inputs",
        "Each hidden neuron cuts the plane in two: on one side of its line it is on, on the other off. From these cuts "
        "the network folds its answer, the shaded regions. A student that is first told **which neurons are on** puts "
        "its lines where the teacher has them; one that is told their **values** cares most for where they are large, "
        "far from the line.",
        "a teacher and three students", {
            "points": Slider("Points", [10, 20, 40, 80], 40, "seen", "How many labelled points the students see; their "
                             "teacher saw 200."),
            "margin": Slider("Margin μ", [0.0, 0.1, 0.3, 1.0, 2.0], 1.0, "margin", "How far beyond its boundary the "
                             "third student's neuron is to respond.")},
        _regions)}
