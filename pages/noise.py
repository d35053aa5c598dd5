"""Noise and slope: two worlds so small that all of a teacher and its students can be drawn while they learn."""

import streamlit as st

from app import engine, figures
from app.components.chart import chart
from app.components.player import player
from app.components.take import take
from app.components.worlds import minimised

LINE, PLANE = "One input", "Two inputs"
st.title("Noise and slope")
st.markdown("Two worlds so small that you see all of a network at once, while it learns by the losses that are used on "
            "images.")
world = st.segmented_control("World", [LINE, PLANE], default=LINE, required=True, key="world", bind="query-params",
                             help="Networks that look at one number, which are curves, or at two, which are maps.")
controls = st.columns(3, vertical_alignment="bottom")
seed = controls[2].number_input("Seed", 0, 99, 3, key="seed", bind="query-params",
                                help="Another teacher, other points, other first weights of the students.")


def line() -> None:
    """Curves, their slopes, and both sides of Prop. 1."""
    points = controls[0].select_slider("Points", [3, 4, 5, 6, 8, 10, 15], 6, key="points", bind="query-params",
                                       help="At how many inputs the students see their teacher.")
    noise = controls[1].select_slider("Noise σ", [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2], 0.05, key="sigma",
                                      bind="query-params", help="How far inputs are shaken for the third student; for "
                                      "the second, slopes count σ² times as much as values.")
    st.markdown("The teacher is a curve, and many curves go through the few points that a student sees. Told only the "
                "values there, it guesses what lies between. Told the **slopes** as well, it guesses better; so it "
                "does when it sees the teacher at inputs with a little **noise**, which tells the slopes without ever "
                "computing one.")
    asked = {"points": points, "noise": noise, "seed": seed}
    with st.spinner("Training three students…"):
        found = engine.answer("line_world", **asked)

    def draw(step: int) -> None:
        chart(figures.curves_and_slopes(found, found["steps"].index(step)), "curves", "The curves and slopes of the "
              "students, each with its teacher's")
        st.caption("Dashed: the teacher. Short thick lines: the slopes at the points that the students see.")
        for place, what in zip(st.columns(2), ("value", "slope")):
            errors = {student["title"]: student[f"{what}_error"] for student in found["students"]}
            with place:
                chart(figures.over_training(errors, found["steps"], step, f"squared error of the {what}s"), what,
                      f"The mean squared error of the {what}s over all inputs while the students trained")

    player(found["steps"], draw, key="moment")
    take({"world": ("line_world", asked)}, "one-input")
    minimised(found)
    st.subheader("Is noise the same as slopes?")
    st.latex(r"\mathbb{E}_\xi \left(z_t(x+\xi) - z_s(x+\xi)\right)^2 \approx \left(z_t - z_s\right)^2 + \sigma^2"
             r"\left(\frac{\partial z_t}{\partial x} - \frac{\partial z_s}{\partial x}\right)^2", width="content")
    chart(figures.two_sides(found, noise), "sides", "Both sides of Proposition 1 over the noise, for each student")
    st.caption("Both sides for the trained students at the points they saw, the left one a mean over 1000 draws of the "
               "noise. The two lines of a student part where curves bend within the reach of the noise: a slope no "
               "longer tells what the noise does. Of networks with ReLU, which are straight between their kinks, they "
               "part where the noise reaches a kink (Srinivas & Fleuret 2018, Prop. 1). A student without any error "
               "has a right side of 0, below the picture.")


def plane() -> None:
    """Decision regions and activation boundaries."""
    points = controls[0].select_slider("Points", [10, 20, 40, 80], 40, key="seen", bind="query-params",
                                       help="How many labelled points the students see; their teacher saw 200.")
    margin = controls[1].select_slider("Margin μ", [0.0, 0.1, 0.3, 1.0, 2.0], 1.0, key="margin", bind="query-params",
                                       help="How far beyond its boundary the third student's neuron is to respond.")
    st.markdown("Each hidden neuron cuts the plane in two: on one side of its line it is on, on the other off. From "
                "these cuts the network folds its answer, the shaded regions. A student that is first told **which "
                "neurons are on** puts its lines where the teacher has them; one that is told their **values** cares "
                "most for where they are large, far from the line.")
    asked = {"points": points, "margin": margin, "seed": seed}
    with st.spinner("Training a teacher and three students…"):
        found = engine.answer("plane_world", **asked)
    rates = {student["title"]: student["agreement"] for student in found["students"]}

    def draw(step: int) -> None:
        chart(figures.regions(found, found["steps"].index(step)), "regions", "Decision regions, decision boundaries "
              "and activation boundaries of the teacher and three students")
        chart(figures.over_training(rates, found["steps"], step, "activations that agree", percent=True,
                                    ends=found["ends"]),
              "agreement", "Share of the plane on which activations agree with the teacher's while the students train")

    player(found["steps"], draw, key="moment")
    st.caption("Neurons are compared one by one, over the whole picture. Who has labels alone never hears which neuron "
               "of the teacher is which, and agrees by chance (Heo et al. 2019, Fig. 1 and eq. 4).")
    take({"world": ("plane_world", asked)}, "two-inputs")
    minimised(found)


{LINE: line, PLANE: plane}[world]()
