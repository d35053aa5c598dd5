"""Sensitivity maps: where teacher, baseline and students look, now and at every step of the training."""

import streamlit as st

from app import engine
from app.components.formula import formula
from app.components.image_picker import image_picker, told
from app.components.map_sections import controls, section_picker
from app.components.maps import explained
from app.components.pickers import experiment_picker, student_picker, trained
from app.components.take import take

st.title("Sensitivity maps")
st.markdown("Where a change of the image would change a network's answer: the teacher's, the baseline's and the "
            "students', side by side on one colour scale.")
students, teacher = student_picker(trained(engine.store().runs(experiment_picker())))
index = image_picker(teacher, students)
shown = controls(students, teacher, index)
asked = {"networks": shown.networks, **shown.asked, "index": index}
with st.spinner("Computing maps…"):
    image = engine.answer("image", run=students[0]["id"], index=index, noise=shown.noise)
    entries = engine.answer("maps", **asked)
shown.draw(entries, shown.names, image, "maps")
measured = any(entry["distance"] is not None for entry in entries)
st.caption(f"{told(index, image)}{shown.noise_told}. With each map: the network's answer"
           + (explained(shown.kind, shown.number) if measured else ".")
           + shown.look.sentence(image["pixels"].shape[2]))
numbers = st.container()
if shown.kind in engine.catalogue()["terms"]:
    formula(shown.kind)

further = section_picker(shown)(shown, image, entries)
with numbers:
    take({"maps": ("maps", asked), **further}, "sensitivity-maps")
