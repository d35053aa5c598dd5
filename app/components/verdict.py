"""How a comparison ended, in words, numbers and maps."""

from __future__ import annotations

import streamlit as st

from app import engine, figures, results
from app.components.maps import map_picture
from app.navigation import PAGES

MAPS = "full_jacobian"


def verdict(students: list[dict]) -> None:
    """Say which method won, by how much, over how many seeds."""
    groups = results.by_method(students)
    baseline = next((run["title"] for run in students if results.is_baseline(run)), None)
    if baseline not in groups:
        st.warning("The baseline did not finish, so there is nothing to compare with. The page **Runs** says why.")
        return
    teacher = results.teacher_accuracy(students)
    best = max(groups, key=lambda title: groups[title]["mean"])
    gain = groups[best]["mean"] - groups[baseline]["mean"]
    seeds = groups[best]["count"]
    st.subheader("Labels alone were the best." if best == baseline else
                 f"{best}: {100 * gain:+.0f} percentage points over labels alone")
    columns = iter(st.columns(len(groups) + bool(teacher)))
    for title, group in groups.items():
        gained = "" if title == baseline else f"{100 * (group['mean'] - groups[baseline]['mean']):+.1f} · "
        next(columns).metric(figures.markdown(title), results.per_cent(group["mean"]),
                             f"{gained}± {100 * group['spread']:.1f}", delta_arrow="off", border=True,
                             delta_color="off" if title == baseline else "normal", height="stretch")
    if teacher:
        next(columns).metric("Teacher", results.per_cent(teacher), border=True, height="stretch")
    st.caption(f"Accuracy on the test images at the last step, and points gained on labels alone; "
               f"mean ± standard deviation over {seeds} seeds."
               if seeds > 1 else "Accuracy on the test images at the last step, one seed: more seeds show the spread.")


def explaining_maps(students: list[dict]) -> None:
    """The maps that explain the verdict: an image that the baseline gets wrong, seen by teacher and students."""
    seed = min(run["seed"] for run in students)
    shown = [run for run in students if run["seed"] == seed and run["state"] == "done"]
    baseline = next((run for run in shown if results.is_baseline(run)), None)
    if baseline is None:
        return
    networks = [(run["id"], engine.store().snapshot_steps(run["id"])[-1]) for run in shown]
    teacher = (shown[0]["teacher"], engine.store().snapshot_steps(shown[0]["teacher"])[-1])
    with st.spinner("Looking for an image that tells them apart…"):
        wrong = engine.answer("disagreements", first=teacher, second=networks[shown.index(baseline)])
        if not wrong:
            return
        image = engine.answer("image", run=baseline["id"], index=wrong[0])
        entries = engine.answer("maps", networks=[teacher, *networks], kind=MAPS, index=wrong[0], teacher=teacher)
    label = image["label"]
    st.subheader("Why: it looks where the teacher looks")
    st.markdown(f"Test image {wrong[0]} is a **{image['classes'][label]}**. Red pixels speak for "
                f"“{image['classes'][label]}” in the eyes of each network, blue ones against it.")
    map_picture(entries, ["Teacher", *(run["title"] for run in shown)], image, "demo-maps", rows=[label])
    st.page_link(PAGES["sensitivity"], query_params={"experiment": students[0]["experiment"]},
                 label="More images, all classes, every step of the training", icon=":material/visibility:")
