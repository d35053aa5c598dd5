"""Activation agreement: which neurons are on in teacher and student alike, by layer, class, neuron and place."""

import math

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart
from app.components.formula import formula
from app.components.image_picker import image_picker, some_images
from app.components.layers import connected, look, paired, taught_students, usable, where_they_differ
from app.components.take import take

KIND, MANY = "activation_boundary", 500
st.title("Activation agreement")
st.markdown("An image switches each neuron on or leaves it off. A student agrees with its teacher where both have a "
            "neuron on, or both off. Two networks that agree everywhere cut the space of images along the same "
            "boundaries, however different their numbers are.")
students, teacher = taught_students()
colours = dict(zip(results.short_names(students), results.colours(students).values()))
indices = some_images(students, MANY)
asked = {"networks": [(run["id"], results.last_step(run)) for run in students], "teacher": teacher}
with st.spinner(f"Counting over {len(indices)} images…"):
    shown = usable(engine.answer("agreement", indices=indices, **asked), list(colours))
if not shown:
    st.stop()


def groups(what: str, layer: int) -> list[dict]:
    """One thing that was counted at a layer, of each network that has a partner of it."""
    return [{"name": name, "colour": colours[name], "values": one[what]} for (name, _), one in zip(
        shown, found[layer][1]) if one]


found = paired([entry for _, entry in shown])
layers = [layer["student"].removesuffix(".pre") for layer, _ in found]
rates = [{"name": name, "colour": colours[name], "values": [ours[i] and ours[i]["rate"] for _, ours in found]}
         for i, (name, _) in enumerate(shown)]
chart(figures.shares(rates, layers, "neurons that agree", "layer"), "rates", "Share of neurons that agree, by layer")
st.caption(f"Over {len(indices)} test images.{connected(shown)}")
take({"agreement": ("agreement", {"indices": indices, **asked})}, "agreement")
formula(KIND)

st.subheader("One layer")
chosen = st.segmented_control("Layer", layers, default=layers[-1], required=True, key="of_layer", bind="query-params",
                              help="As the student calls it.")
layer = layers.index(chosen)
classes = [str(name) for name in shown[0][1]["classes"]]
chart(figures.shares(groups("per_class", layer), classes, "neurons that agree", "class of the image"), "classes",
      "Share of neurons that agree, by class")
rows = groups("per_neuron", layer)
chart(figures.strips([row["values"] for row in rows], [row["name"] for row in rows], "neuron of the teacher"),
      "neurons", "How often each neuron agrees, a row for each student")
margin = results.settings(students, KIND).get("margin")
chart(figures.histograms(groups("counts", layer), found[layer][0]["bins"],
                         "student's value before the activation", {"off | on": 0.0} | (
                             {"−μ": -margin, "μ": margin} if margin else {})), "values",
      "How far the students' neurons are from their boundary")
beyond = max(one["beyond"] for one in found[layer][1] if one)
st.caption("The students' values for every neuron and image; of none of the students more than "
           f"{math.ceil(1000 * beyond) / 10:g}% lie outside the picture.")
names = engine.store().metric_names([run["id"] for run in students])
metric = next((name for name in (f"agreement.{chosen}", f"agreement.{chosen}.fitted") if name in names), None)
if metric:
    chart(figures.curves(results.lines(students, metric), title="neurons that agree", percent=True), "training",
          "Share of neurons that agree while they trained")
    st.caption("While they trained, over the images that every run's record is measured on.")

st.subheader("Where on the image")
index = image_picker(teacher, students)
with st.container(horizontal=True):
    how = look()
with st.spinner("Counting…"):
    image = engine.answer("image", run=students[0]["id"], index=index)
    where = usable(engine.answer("agreement", indices=[index], **asked), list(colours))
where_they_differ(where, image, "where", **how)
st.caption("Of the teacher, which share of its neurons is on at each place; of the students, which share differs.")
