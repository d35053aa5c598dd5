"""Data: what images look like, how many there are of each class, and which of them a run learns from."""

import json

import streamlit as st

from app import engine, figures
from app.components.absent import or_say_why
from app.components.image_set import facts, left_out, set_picker, used, varying_form
from app.components.pickers import experiment_picker
from app.components.pictures import balance, choose_rows, class_rows, one_image
from app.components.take import take

SET, EXPERIMENT = "an image set", "an experiment's"
st.title("Data")
st.markdown("What the images look like, how many there are of each class, and which of them a run learns from.")
catalogue = engine.catalogue()
whose = st.segmented_control("Images of", [SET, EXPERIMENT], default=SET, required=True, key="whose",
                             bind="query-params", help="All of a set, or those that a run of an experiment has "
                             "drawn from it.")
if whose == SET:
    name = set_picker(catalogue)
    data = {"name": name} | varying_form(catalogue, catalogue["data"][name], name)
    asked = {"content": data}
else:
    runs = {run["id"]: run for run in engine.store().runs(experiment_picker())}
    run = st.selectbox("Run", list(runs), format_func=lambda run: f"{runs[run]['name']} ({run})", key="run",
                       bind="query-params", help="Each seed draws images of its own, inside those that the teacher saw "
                       "where these are enough.")
    data, asked = json.loads(runs[run]["config"])["data"], {"run": run}
    drawn = runs[run]["seed"] if data["seed"] is None else data["seed"]
    st.caption(f"{used(data)} The seed of the draw is {drawn}.")
entry = facts(catalogue["data"][data["name"]], data)
channels, height, width = entry["shape"]
st.caption(f"**{figures.markdown(entry['title'])}.** {figures.markdown(entry['sentence'])}")
left_out(entry["left_out"])
with or_say_why(), st.spinner("Counting the images…"):
    counts = engine.ask("image_groups", **asked)

with st.container(horizontal=True, gap="medium"):
    for group, of_class in counts.items():
        if of_class.sum() or whose == SET:
            st.metric(group.capitalize(), f"{of_class.sum():,}", width="content")
    st.metric("Classes", len(entry["classes"]), width="content")
    st.metric("Pixels", f"{height}×{width} {'grey' if channels == 1 else 'coloured'}", width="content")

st.subheader("Examples")
groups, classes, draw = choose_rows(counts, entry["classes"])
with st.spinner("Drawing examples…"):
    rows = engine.ask("examples", groups=groups, classes=classes, seed=draw, **asked)
class_rows(rows, [entry["classes"][label] for label in classes], "examples")

st.subheader("Of each class")
balance(counts, entry["classes"], "balance", stacked=whose == EXPERIMENT)
take({"counts": ("image_groups", asked)}, "data")

st.subheader("One image, as networks see it")
one_image(rows, data, asked)
