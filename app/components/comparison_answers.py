"""What groups of networks answer for test images: under noise, how sure, in each class, beside their teacher's."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import streamlit as st

from app import engine, figures, results
from app.comparison import Group
from app.components import tables
from app.components.chart import chart
from app.components.comparison import table
from kdcore import comparison

SEEDS = 5  # of a group that are asked
IMAGES = 1000  # that they are asked about
STDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
TEACHER = "Teacher"
Asked = dict[str, list[dict]]  # the answers of each group's networks, by the group's name, the teacher's first


def noise(groups: list[Group], runs: list[dict]) -> None:
    """Accuracy under input noise, mean over seeds."""
    found, looks = _asked(groups, _under_noise), _looks(groups)
    lines = []
    for name, entries in found.items():
        lines.append({"name": name, **looks[name], **comparison.mean_curve(
            [(list(STDS), entry["accuracy"]) for entry in entries])})
    if lines:
        chart(figures.bands(lines, title="accuracy", across="standard deviation of the noise", percent=True), "noise",
              "The accuracy of each group under input noise")
        st.caption("Gaussian noise is added to each pixel, which lies between 0 and 1; every network sees the same "
                   f"noise. {_over(groups)}")


def calibration(groups: list[Group], runs: list[dict]) -> None:
    """Reliability diagram, and the expected calibration error."""
    found, looks = _asked(groups, _answers), _looks(groups)
    drawn, rows = [], []
    for name, entries in found.items():
        sure, right = (np.concatenate(parts) for parts in zip(*((entry["confidence"], _right(entry))
                                                                for entry in entries)))
        drawn.append({"name": name, **looks[name], **comparison.calibration(sure, right)})
        errors = [comparison.calibration(entry["confidence"], _right(entry))["error"] for entry in entries]
        mean, error, seeds = comparison.mean(errors)
        rows.append({"name": name, "seeds": seeds, "error": 100 * mean, "spread": error and 100 * error,
                     "sure": 100 * sure.mean(), "right": 100 * right.mean()})
    if not drawn:
        return
    chart(figures.reliability(drawn), "reliability", "How often each group is right, by its confidence")
    table(rows, {
        "seeds": tables.SEEDS, "spread": tables.ERROR, "error": tables.number(
            "Calibration error", format="%.1f", help="In points: the mean distance of confidence and accuracy over ten "
            "bins of confidence (Guo et al. 2017, eq. 3), mean over the seeds."),
        "sure": tables.number("Confidence", format="%.1f %%", help="Mean probability of the answer."),
        "right": tables.number("Accuracy", format="%.1f %%")})
    st.caption("A point is a bin of confidence, the answers of all seeds together; the bars say which share of them is "
               "in it. Below the dotted line a network is surer than it is right, above it less sure. "
               f"{_over(groups)}")


def classes(groups: list[Group], runs: list[dict]) -> None:
    """Accuracy on each class, and which answers are taken for which."""
    found, looks = _asked(groups, _answers), _looks(groups)
    if not found:
        return
    names = [str(name) for name in results.image_set(groups[0].runs[0])["classes"]]
    shares = [{"name": name, "colour": looks[name]["colour"], "values": np.mean(
        [comparison.of_each_class(entry["labels"], _right(entry), len(names)) for entry in entries], axis=0)}
        for name, entries in found.items()]
    chart(figures.shares(shares, names, "accuracy", "class of the image"), "classes", "Accuracy of each group by class")
    st.caption(f"Mean over the seeds. {_over(groups)}")
    st.subheader("What is taken for what")
    left, right = st.columns(2)
    theirs = {"labels": "the label", "teacher": "the teacher's answer"}
    rows = left.selectbox("Rows", [*theirs][: 1 + (TEACHER in found)], format_func=theirs.get, key="held_against",
                          bind="query-params", help="What a network's answers are held against.")
    columns = right.selectbox("Columns", list(found), len(found) - 1, key="columns", bind="query-params",
                              help="Whose answers.")
    pairs = [(entry["teacher"]["predicted"] if rows == "teacher" else entry["labels"], entry["predicted"])
             for entry in found[columns] if rows == "labels" or entry["teacher"]]
    counts = sum(comparison.confusion(*pair, len(names)) for pair in pairs)
    texts = [[str(count) if count else "" for count in row] for row in counts]
    chart(figures.cells(comparison.shares(counts), names, names, texts=texts,
                        across=f"answer of {columns}", down=theirs[rows],
                        hover="%{customdata} → %{x}: %{text} (%{z:.1%})"),
          "confusion", f"Which answers {columns} gives for {theirs[rows]}")
    st.caption("The number of test images, all seeds together; the colour is their share of a row. Off the diagonal "
               + ("the network disagrees with its teacher." if rows == "teacher" else "the network is wrong."))


def _answers(run: int, of: int) -> dict:
    return engine.ask("predictions", networks=[(run, None)], of=of, count=IMAGES)[0]


def _under_noise(run: int, of: int) -> dict:
    """One strength a question: others' questions come between."""
    found = [engine.ask("robustness", networks=[(run, None)], of=of, count=IMAGES, stds=[std])[0] for std in STDS]
    reason = next((one["reason"] for one in found if one["reason"]), "")
    return {"reason": reason, "accuracy": None if reason else np.concatenate([one["accuracy"] for one in found])}


def _asked(groups: list[Group], ask: Callable[[int, int], dict]) -> Asked:
    """What the groups' networks and their teachers answer; who is left out, and why, is said."""
    first = groups[0].runs[0]
    shown = {group.name: [run for run in group.runs if _images(run) == _images(first)][:SEEDS] for group in groups}
    teachers = {run["teacher"] for runs in shown.values() for run in runs if run["teacher"]}
    ids = [*teachers, *(run["id"] for runs in shown.values() for run in runs)]
    with st.spinner(f"Asking {len(ids)} networks…"):
        found = {run: ask(run, first["id"]) for run in ids}  # one by one: the inspector keeps what it answers
    if others := [name for name, runs in shown.items() if not runs]:
        st.info(f"{figures.markdown(', '.join(others))}: these runs are tested on other images than "
                f"{figures.markdown(groups[0].name)}, so that nothing can be asked of both. Choose groups of one image "
                "set.", icon=":material/block:")
    for reason in dict.fromkeys(entry["reason"] for entry in found.values() if entry["reason"]):
        whose = [TEACHER] * any(found[run]["reason"] == reason for run in teachers) + [
            name for name, runs in shown.items() if any(found[run["id"]]["reason"] == reason for run in runs)]
        st.info(f"{figures.markdown(', '.join(whose))}: {figures.markdown(reason)}", icon=":material/block:")
    usable = {run: entry for run, entry in found.items() if not entry["reason"]}
    answers = {TEACHER: [{**usable[run], "teacher": usable[run]} for run in teachers if run in usable]} | {
        name: [{**usable[run["id"]], "teacher": usable.get(run["teacher"])} for run in runs if run["id"] in usable]
        for name, runs in shown.items()}
    return {name: entries for name, entries in answers.items() if entries}


def _images(run: dict) -> tuple:
    """What the test images of a run depend on."""
    data = json.loads(run["config"])["data"]
    return tuple(data[name] for name in ("name", "path", "size", "watermark"))


def _looks(groups: list[Group]) -> dict[str, dict]:
    return {TEACHER: figures.TEACHER_LOOK, **{group.name: group.look for group in groups}}


def _right(entry: dict) -> np.ndarray:
    return entry["predicted"] == entry["labels"]


def _over(groups: list[Group]) -> str:
    """How many images and seeds count, in sentences."""
    count = results.image_set(groups[0].runs[0])["test"]
    images = f"{IMAGES} test images, a fixed random choice" if count > IMAGES else f"the {count} test images"
    more = any(len(group.runs) > SEEDS for group in groups)
    return f"Over {images}." + f" Of more than {SEEDS} seeds the first {SEEDS} are asked." * more
