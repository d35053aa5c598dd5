"""Sensitivity maps: where teacher, baseline and students look, now and at every step of the training."""

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart
from app.components.image_picker import image_picker
from app.components.maps import explained, largest, map_picture
from app.components.pickers import experiment_picker, map_picker, student_picker, trained

st.title("Sensitivity maps")
st.markdown("Where a change of the image would change a network's answer: the teacher's, the baseline's and the "
            "students', side by side on one colour scale.")
experiment = experiment_picker()
runs = trained(engine.store().runs(experiment))
students, teacher = student_picker(runs)
names = [*(["Teacher"] if teacher else []), *results.short_names(students)]
networks = [*([teacher] if teacher else []), *((run["id"], results.last_step(run)) for run in students)]

index = image_picker(teacher, students)
kind, number, rows, overlay = map_picker(students[0])
asked = {"kind": kind, "index": index, "teacher": teacher, "settings": results.settings(students, kind)}
with st.spinner("Computing maps…"):
    image = engine.answer("image", run=students[0]["id"], index=index)
    entries = engine.answer("maps", networks=networks, **asked)
measured = any(entry["distance"] is not None for entry in entries)
rows = [image["label"]] if rows == "label" else rows
map_picture(entries, names, image, "maps", rows=rows, overlay=overlay, number=number)
st.caption(f"Test image {index} is of class {figures.markdown(image['classes'][image['label']])}. With each map: the "
           f"network's answer" + (explained(kind, number) if measured else "."))

st.subheader("While it trained")
followed = st.selectbox("Student", students, index=len(students) - 1, format_func=lambda run: run["name"],
                        key="followed")
with st.spinner("Computing the maps of every snapshot…"):
    timeline = engine.answer("timeline", run=followed["id"], **asked,
                             steps=engine.store().snapshot_steps(followed["id"]))
step = st.select_slider("Training step", list(timeline), list(timeline)[-1], key="step", bind="query-params",
                        help="Snapshots lie close together early on, where most changes.")
beside = teacher and entries[0]["maps"] is not None
pair = [*([entries[0]] if beside else []), timeline[step]]
map_picture(pair, [*(["Teacher"] if beside else []), f"{followed['title']} · step {step}"], image, "timeline",
            rows=rows, overlay=overlay, number=number, scale=largest([*pair, *timeline.values()], rows))
if measured:
    chart(figures.over_snapshots(timeline, step, f"{number} of the map"), "distances",
          f"The {number} of the student's map at every snapshot")
