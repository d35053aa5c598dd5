"""Sensitivity maps: where teacher, baseline and students look, now and at every step of the training."""

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart
from app.components.image_picker import image_picker
from app.components.maps import largest, map_picture
from app.components.pickers import experiment_picker, map_picker, student_picker, trained
from app.components.waiting import waiting

st.title("Sensitivity maps")
st.markdown("Where a change of the image would change a network's answer: the teacher's, the baseline's and the "
            "students', side by side on one colour scale.")
experiment = experiment_picker()
runs = trained(engine.store().runs(experiment))
students, teacher = student_picker(runs)
names = [*(["Teacher"] if teacher else []), *results.short_names(students)]
networks = [*([teacher] if teacher else []), *((run["id"], results.last_step(run)) for run in students)]

index = image_picker(teacher, students)
kind, rows, overlay = map_picker(students[0])
try:
    with waiting("Computing maps…"):
        image = engine.answer("image", run=students[0]["id"], index=index)
        entries = engine.answer("maps", networks=networks, kind=kind, index=index, teacher=teacher)
except engine.UserError as error:
    st.error(figures.markdown(str(error)))
    st.stop()
rows = [image["label"]] if rows == "label" else rows
map_picture(entries, names, image, "maps", rows=rows, overlay=overlay)
st.caption(f"Test image {index} is of class {figures.markdown(image['classes'][image['label']])}. Under each map: the "
           "network's answer, and the map's distance to the teacher's over all classes, which is the term's own loss "
           "for this image in evaluation mode." if kind in engine.catalogue()["maps"] else
           "Under each map: the network's answer, and the mean squared difference to the teacher's map.")

st.subheader("While it trained")
followed = st.selectbox("Student", students, index=len(students) - 1, format_func=lambda run: run["name"],
                        key="followed")
with waiting("Computing the maps of every snapshot…"):
    timeline = engine.answer("timeline", run=followed["id"], kind=kind, index=index, teacher=teacher,
                             steps=engine.store().snapshot_steps(followed["id"]))
step = st.select_slider("Training step", list(timeline), key="step", bind="query-params",
                        help="Snapshots lie close together early on, where most changes.")
pair = [*([entries[0]] if teacher else []), timeline[step]]
map_picture(pair, [*(["Teacher"] if teacher else []), f"{followed['title']} · step {step}"], image, "timeline",
            rows=rows, overlay=overlay, scale=largest([*pair, *timeline.values()], rows))
chart(figures.distance_over_steps(timeline, step), "distances", "Distance of the student's map to the teacher's")
