"""FSP matrices: how features flow through each section of teacher and students, and how that moved."""

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart
from app.components.formula import formula
from app.components.image_picker import image_picker, some_images
from app.components.layers import connected, matrices, taught_students, usable, while_it_trained
from app.components.take import take

KIND, MANY = "flow_matrices", 100
st.title("FSP matrices")
st.markdown("How the features at the end of a section of layers go with those at its beginning: a cell for each pair "
            "of channels, strong where both are active in the same places. It tells *how* a network gets from one to "
            "the other, whatever it finds there.")
students, teacher = taught_students()
index = image_picker(teacher, students)
with st.container(horizontal=True):
    many = st.toggle(f"Mean of {MANY} images", key="mean", bind="query-params",
                     help="Of a fixed random choice of test images, instead of the one above.")
    alike = st.toggle("Alike together", key="alike", bind="query-params", help="Channels that flow alike in the "
                      "teacher are put next to each other, in all matrices; else they are in the network's order.")
    differences = st.toggle("Differences", key="differences", bind="query-params",
                            help="What the student has more than the teacher, red, or less, blue.")
indices = some_images(students, MANY) if many else [index]
networks = [(run["id"], results.last_step(run)) for run in students]
asked = {"kind": KIND, "indices": indices, "teacher": teacher, "alike": alike}
with st.spinner("Computing matrices…"):
    entries = engine.answer("layers", networks=networks, **asked)
shown = usable(entries, results.short_names(students))
if not shown:
    st.stop()
matrices(shown, "matrices", differences=differences, description="FSP matrices")
st.caption("The distance is the squared norm of the difference: 0 is the same, and training on these matrices makes it "
           f"smaller. Each section has a scale of its own.{connected(shown)}")
take({"layers": ("layers", {"networks": networks, **asked})}, "fsp-matrices")
formula(KIND)


def draw(run: dict, step: int, timeline: dict[int, dict]) -> None:
    """How far each section's matrix is from the teacher's at every snapshot, and the matrices at one of them."""
    if at := usable([timeline[step]], [f"{run['title']} · step {step}"]):
        chart(figures.layers_over_snapshots(timeline, step, "distance to the teacher's",
                                            engine.answer("stages", run=run["id"]), apart=True), "distances",
              "The distance of the student's matrices to the teacher's at every snapshot, a chart for each section")
        matrices(at, "timeline", differences=differences, description=f"FSP matrices at step {step}")


while_it_trained(students, draw, **asked)
