"""Try it: draw or bring an image, disturb it, and see what every network says to it, and where it looks."""

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart
from app.components.disturb import disturbances
from app.components.draw_pad import draw_pad, seen
from app.components.image_source import image_source
from app.components.maps import explained, map_picture
from app.components.pickers import experiment_picker, map_picker, student_picker, trained
from app.components.take import take

st.title("Try it")
st.markdown("Draw, or bring an image of yours: every network answers while you draw. Then disturb the image, and see "
            "who holds out.")
students, teacher = student_picker(trained(engine.store().runs(experiment_picker())))
names = [*(["Teacher"] if teacher else []), *results.short_names(students)]
networks = [*([teacher] if teacher else []), *((run["id"], results.last_step(run)) for run in students)]
colours = [*([figures.TEACHER_COLOUR] if teacher else []), *results.colours(students).values()]


@st.fragment
def answers() -> None:
    """A drawing is answered without drawing the menu and the pickers anew."""
    image = image_source(teacher, students)
    with st.container(horizontal=True, gap="medium"):
        left, bars = st.container(width=270), st.container()
    with left:
        image, number = draw_pad(image)
        st.caption("As the networks see it:")
        below = st.container()
    st.subheader("Disturb it")
    perturbation = disturbances()
    st.subheader("Where they look")
    kind, what, rows, overlay = map_picker(students[0])
    if not image.any():
        with bars:
            st.info("Draw something first, or start from an image: every network then answers here.",
                    icon=":material/draw:")
        with below:
            seen(image, number)
        return
    asked = {"networks": networks, "pixels": image, "kind": kind, "teacher": teacher,
             "settings": results.settings(students, kind), "perturbation": perturbation}
    try:
        found = engine.ask("answers_to", **asked)
    except engine.UserError as error:
        st.info(figures.markdown(str(error)), icon=":material/block:")
        return
    entries, label = found["entries"], found["classes"][found["label"]]
    with bars:
        told = [{"name": name, "colour": colour, **entry} for name, colour, entry in zip(names, colours, entries)]
        chart(figures.answers(told), "answers", "What each network answers, its probability of every class")
    map_picture(entries, names, found, "maps", rows=[found["label"]] if rows == "label" else rows, overlay=overlay,
                number=what)
    measured = any(entry["distance"] is not None for entry in entries)
    by = figures.markdown(names[networks.index(found["by"])]) if found["by"] != teacher else "the teacher"
    st.caption(f"Where a map has to know the image's class, it is what {by} says: {figures.markdown(label)}. With each "
               "map: the network's answer" + (explained(kind, what) if measured else "."))
    take({"answers": ("answers_to", asked)}, "try-it")
    with below:
        seen(found["pixels"], number)


answers()
