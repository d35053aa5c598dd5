"""Attention maps: where each group of layers is active, of teacher and students, and which pixels would change that."""

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart
from app.components.formula import formula
from app.components.image_picker import image_picker, told
from app.components.layers import layer_maps, look, taught_students, usable, while_it_trained
from app.components.take import take

ATTENTION, JACOBIAN = "attention_maps", "attention_jacobian"
KINDS = {ATTENTION: "Attention", JACOBIAN: "What would draw it"}

st.title("Attention maps")
st.markdown("Where in the image each group of layers is active, whatever the channel: the squares of all its maps, "
            "added up. Early groups see edges, late ones see things.")
students, teacher = taught_students()
names = results.short_names(students)
index = image_picker(teacher, students)

settings = {known: results.settings(students, known) for known in KINDS}
field = engine.catalogue()["terms"][JACOBIAN]["fields"]["window"]
with st.container(horizontal=True, vertical_alignment="bottom"):
    kind = st.segmented_control("Show", list(KINDS), default=ATTENTION, required=True, format_func=KINDS.get,
                                key="kind", bind="query-params", help="The map itself, or its Jacobian: which pixels, "
                                "if brighter, would draw attention to the place where the teacher attends most.")
    trained_with = field["enum"].index(settings[JACOBIAN].get("window", field["default"]))
    settings[JACOBIAN]["window"] = st.selectbox(
        "Pooling window", field["enum"], trained_with, key="window", bind="query-params", width=150,
        disabled=kind != JACOBIAN, help=field["description"])
    how = look()

networks = [(run["id"], results.last_step(run)) for run in students]
asked = {"kind": kind, "indices": [index], "teacher": teacher, "settings": settings[kind]}
with st.spinner("Computing maps…"):
    image = engine.answer("image", run=students[0]["id"], index=index)
    entries = engine.answer("layers", networks=networks, **asked)
shown = usable(entries, names)
if not shown:
    st.stop()
layer_maps(shown, image, "maps", KINDS[kind], **how)
st.caption(f"{told(index, image)}. Each row has a scale of its own. Under each student's map stands its distance to "
           "the teacher's: 0 is the same, and training on these maps makes it smaller."
           + " The ring marks where the teacher attends most." * (kind == JACOBIAN))
take({"layers": ("layers", {"networks": networks, **asked})}, "attention")
formula(kind)


def draw(run: dict, step: int, timeline: dict[int, dict]) -> None:
    """The maps at a step, and how far each layer's is from the teacher's at all of them."""
    if at := usable([timeline[step]], [f"{run['title']} · step {step}"]):
        layer_maps(at, image, "timeline", KINDS[kind], **how)
        chart(figures.layers_over_snapshots(timeline, step, "distance of the map"), "distances",
              "The distance of the student's maps to the teacher's at every snapshot, one line a layer")


while_it_trained(students, draw, **asked)
