"""Choose a test image: by number, at random, or one that tells the teacher from the baseline."""

from __future__ import annotations

import random

import streamlit as st

from app import engine, figures, results


def image_picker(teacher: tuple | None, students: list[dict]) -> int:
    """The index of the chosen test image; it lives in the link."""
    count = results.image_set(students[0])["test"]
    baseline = next((run for run in students if results.is_baseline(run)), None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        index = st.number_input("Test image", 0, count - 1, key="image", bind="query-params", width=150,
                                help="Its position in the test set.")
        st.button("Random image", icon=":material/casino:",
                  on_click=lambda: st.session_state.update(image=random.randrange(count)))
        st.button("Teacher right, baseline wrong", icon=":material/compare_arrows:",
                  disabled=not (teacher and baseline), on_click=_choose_telling, args=(teacher, baseline),
                  help="A test image that the teacher names correctly and the labels-only student does not."
                  if teacher and baseline else "Needs a teacher and the labels-only student among those shown.")
    return index


def told(index: int, image: dict) -> str:
    """What the inspector's image is, as the beginning of a sentence."""
    return f"Test image {index} is of class {figures.markdown(image['classes'][image['label']])}"


def some_images(students: list[dict], most: int) -> list[int]:
    """The indices of a fixed random choice of test images, so many at most: image files come class by class."""
    count = results.image_set(students[0])["test"]
    return sorted(random.Random(0).sample(range(count), min(most, count)))


def _choose_telling(teacher: tuple, baseline: dict) -> None:
    found = engine.answer("disagreements", first=teacher, second=(baseline["id"], results.last_step(baseline)))
    if found:
        st.session_state.image = random.choice(found)
    else:
        st.toast("There is none: the baseline is right wherever the teacher is, or they tell other classes apart.")
