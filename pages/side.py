"""Side by side: one image, as the teacher and each student see it, in every kind of knowledge, while they train."""

import streamlit as st

from app import engine, figures, results
from app.components.beside import ANSWERS, USUAL, Beside, kinds
from app.components.chart import chart
from app.components.image_picker import image_picker, told
from app.components.layers import look, taught_students
from app.components.player import player
from app.components.take import take

st.title("Side by side")
st.markdown("One image, seen by the teacher and by each student: what they answer, and what their answers are made of. "
            "The closer a student's column looks to its teacher's, the more it has taken over.")
students, teacher = taught_students()
names = results.short_names(students)
index = image_picker(teacher, students)
titles = kinds()
shown = st.multiselect("Rows", list(titles), [kind for kind in USUAL if kind in titles], format_func=titles.get,
                       key="rows", bind="query-params", help="What the networks answer, and what the losses are made "
                       "of; they are shown in this order.")
with st.container(horizontal=True, vertical_alignment="bottom"):
    temperature = st.slider("Temperature", 1.0, 20.0, 1.0, 0.5, key="temperature", bind="query-params", width=150,
                            disabled=ANSWERS not in shown, help="Answers are softened by it: higher values show more "
                            "of what a network thinks about the wrong classes.")
    drawn = any(kind != ANSWERS for kind in shown)
    layer = st.number_input("Layer", 1, 9, 3, disabled=not drawn, key="group", bind="query-params", width=90,
                            help="Which group of layers, counted from the image; the last one where there are fewer.")
    channel = st.number_input("Channel", 0, 4095, 0, disabled=not drawn, key="channel", bind="query-params", width=90,
                              help="Of what is compared channel by channel, one of them; behind the last one "
                              "it begins anew.")
    scale = st.segmented_control("Colour scale", ["a row", "a picture"], default="a row", required=True,
                                 disabled=not drawn, key="scale_of", bind="query-params", help="One for each row, so "
                                 "that networks can be compared, or one for each picture, so that faint ones can be "
                                 "seen.")
    how = look(disabled=not drawn)
if not shown:
    st.info("Choose at least one row.", icon=":material/view_column:")
    st.stop()
image = engine.answer("image", run=students[0]["id"], index=index)
recorded = results.metrics([run["id"] for run in students])
steps = {run["id"]: engine.store().snapshot_steps(run["id"]) for run in students}


def draw(step: int) -> None:
    """The picture at a step, and the curves with the step marked."""
    networks = {name: (run["id"], max([at for at in steps[run["id"]] if at <= step], default=steps[run["id"]][0]))
                for name, run in zip(names, students)}
    beside = Beside(teacher, networks, students, index, image)
    with st.spinner("Computing maps…"):
        rows = beside.rows([kind for kind in shown if kind != ANSWERS], layer - 1, channel)
        answers = beside.answers(temperature) if ANSWERS in shown else []
    figure = figures.layer_grid(rows, columns=["Teacher", *names], image=image["pixels"],
                                each=scale == "a picture", **how)
    if answers:
        figure = figures.with_answers(figure, answers, label=image["label"])
    chart(figure, "beside", f"What the teacher, {', '.join(names)} have of test image {index} at step {step}")
    st.caption(f"{told(index, image)}. Under each student's picture stands its distance to the teacher's, as the loss "
               "of that kind of knowledge has it, each in a unit of its own: 0 is the same. A click on a picture "
               "enlarges it.")
    for sentence in dict.fromkeys(beside.absent):
        st.caption(figures.markdown(sentence))
    take(beside.asked, "side-by-side")
    metric = st.selectbox("Curve", list(recorded), format_func=recorded.get, key="metric", bind="query-params",
                          help="What the runs recorded while they trained, with the step above marked.")
    chart(figures.curves(results.lines(students, metric), title=recorded[metric], percent=metric == "accuracy",
                         at=step), "curves", f"{recorded[metric]} over training steps, one line a run")


player(sorted({step for of_run in steps.values() for step in of_run}), draw)
