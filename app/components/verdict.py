"""How a comparison ended, in words, numbers and maps."""

from __future__ import annotations

import streamlit as st

from app import engine, figures, results
from app.components import tables
from app.components.maps import map_picture
from app.navigation import go_to
from kdcore.comparison import sign


def verdict(students: list[dict]) -> None:
    """Say which method won, by how much, over how many seeds; two seeds are hardly ever enough for it."""
    groups = results.by_method(students)
    teacher = results.teacher_accuracy(students)
    if not any(group["gain"] for group in groups.values()):
        st.info("There is no pair of a method and its baseline that both finished, so there is nothing to compare.")
        return
    if any(results.conditions(students).values()):
        st.subheader("Each method and setting")  # to call the best of many the winner would be to choose by test images
        _grid(students)
        return
    st.subheader(_headline(groups))
    seeds = max(group["accuracy"][2] for group in groups.values())
    with st.container(horizontal=True):
        for title, group in groups.items():
            st.metric(figures.markdown(title), results.per_cent(group["accuracy"][0]), results.points(group["gain"]),
                      delta_arrow="off", delta_color="normal" if sign(group["gain"]) else "off", border=True,
                      width="content", height="stretch")
        if teacher:
            st.metric("Teacher", results.per_cent(teacher), border=True, width="content", height="stretch")
    fewest = min(group["accuracy"][2] for group in groups.values())
    st.caption("Accuracy on the test images at the last step, and points gained over labels alone: "
               + (f"mean over {seeds if fewest == seeds else f'{fewest} to {seeds}'} seeds, ± standard error of the "
                  "gain, paired by seed. A gain is coloured, and a method called better, where 0 lies outside of its "
                  "95 % interval (Student's t), which over two seeds is six times as wide as over many." if seeds > 1
                  else "one seed; more seeds show the spread.")
               + (" Several networks are no match for one: an ensemble is compared with an ensemble of labels alone."
                  if any(run["role"] == "ensemble" for run in students) else ""))


def _grid(students: list[dict]) -> None:
    """A row for each method and setting; what the numbers are stands in the heads' help."""
    st.dataframe(results.summary(students), hide_index=True, placeholder="–",
                 column_config={"method": "Method", **tables.OUTCOME})


def _headline(groups: dict[str, dict]) -> str:
    best, worse = results.winner(groups), results.losers(groups)
    if max(group["accuracy"][2] for group in groups.values()) == 1:
        return "One seed is too few for a verdict"
    if best:
        return f"{figures.markdown(best)}: {100 * groups[best]['gain'][0]:+.0f} percentage points over labels alone"
    if max(group["accuracy"][2] for group in groups.values()) == 2 and any(group["gain"] for group in groups.values()):
        return "Two seeds are too few for a verdict"
    if worse:
        return f"Labels alone do better than {figures.markdown(', '.join(worse))}"
    return "No method is clearly better than labels alone"


def explaining_maps(students: list[dict], experiment: str) -> None:
    """The maps that explain the verdict: an image that the baseline gets wrong, seen by teacher and students."""
    seed = min(run["seed"] for run in students)
    shown = [run for run in students if run["seed"] == seed and run["state"] == "done"]
    baseline = next((run for run in shown if results.is_baseline(run)), None)
    if baseline is None:
        return
    networks = [(run["id"], results.last_step(run)) for run in shown]
    teacher = (shown[0]["teacher"], results.last_step({"id": shown[0]["teacher"]}))
    kind = next(kind for kind, entry in engine.catalogue()["maps"].items() if entry["row_per_class"])
    with st.spinner("Looking for an image that tells them apart…"):
        index = _telling(teacher, dict(zip((run["title"] for run in shown), networks)), baseline["title"],
                         results.winner(results.by_method(students)))
        if index is None:
            return
        image = engine.answer("image", run=baseline["id"], index=index)
        entries = engine.answer("maps", networks=[teacher, *networks], kind=kind, index=index, teacher=teacher)
    label = image["label"]
    st.subheader("Why: it looks where the teacher looks")
    st.markdown(f"Test image {index} is a **{image['classes'][label]}**. Red pixels speak for "
                f"“{image['classes'][label]}” in the eyes of each network, blue ones against it.")
    map_picture(entries, ["Teacher", *(run["title"] for run in shown)], image, "demo-maps", rows=[label],
                number=engine.catalogue()["maps"][kind]["number"])
    if st.button("More images, all classes, every step of the training", icon=":material/visibility:"):
        go_to("sensitivity", experiment)


def _telling(teacher: tuple, networks: dict[str, tuple], baseline: str, winner: str | None) -> int | None:
    """An image that the baseline gets wrong and the teacher right, and the winner too where there is such a one."""
    def right(first: tuple) -> list[int]:
        return engine.answer("disagreements", first=first, second=networks[baseline], count=1000)

    taught = right(teacher)
    learnt = set(right(networks[winner])) if winner in networks else set()
    return next((index for index in taught if index in learnt), next(iter(taught), None))
