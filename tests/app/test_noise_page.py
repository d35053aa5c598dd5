"""Noise and slope without a browser, on an empty store."""

import json

import numpy as np
import pytest

from app import engine, figures

STEPS = 20


@pytest.fixture
def page(page_of, questions, monkeypatch):
    """The page with worlds that train for a moment, each once."""
    kept = {}

    def answer(question, **arguments):
        key = json.dumps([question, arguments], sort_keys=True)
        if key not in kept:
            kept[key] = questions[question](**arguments, steps=STEPS)
        return kept[key]

    monkeypatch.setattr(engine, "answer", answer)

    def open_with(**parameters):
        made = page_of("noise")
        made.session_state["opened"] = {"minimised"}
        for parameter, value in parameters.items():
            made.query_params[parameter] = value
        return made.run()

    open_with.asked = kept
    return open_with


@pytest.mark.parametrize("world", ["One input", "Two inputs"])
def test_a_world_is_drawn_at_every_step_on_an_empty_store(page, world):
    made = page(world=world)
    assert not made.exception and not made.error and not made.info
    assert made.select_slider("moment").value == STEPS
    assert len(made.expander[0].latex) == 3
    made.select_slider("moment").set_value(0).run()
    assert not made.exception and len(page.asked) == 1


def test_a_link_reproduces_what_was_seen(page):
    made = page(world="One input", points="4", sigma="0.1", seed="7", moment="1")
    assert made.select_slider("moment").value == 1
    assert [json.loads(key)[1] for key in page.asked] == [{"points": 4, "noise": 0.1, "seed": 7}]
    made = page(world="Two inputs", seen="20", margin="0.3", seed="7")
    assert json.loads([*page.asked][-1]) == ["plane_world", {"points": 20, "margin": 0.3, "seed": 7}]


def test_a_link_with_nonsense_opens_on_something_sensible(page):
    made = page(world="no world", points="1000", sigma="none", seed="-3", moment="77", margin="x")
    assert not made.exception and not made.error
    assert made.select_slider("points").value == 6 and made.select_slider("moment").value == STEPS


def test_formulas_hold_the_chosen_noise(page):
    _, slopes, noisy = page(world="One input", sigma="0.1").expander[0].latex
    assert r"0.01 \cdot" in slopes.value and r"x+\xi" in noisy.value


@pytest.fixture(scope="module")
def line(questions):
    return questions["line_world"](points=3, steps=STEPS)


@pytest.fixture(scope="module")
def plane(questions):
    return questions["plane_world"](points=10, steps=STEPS)


def test_tangents_go_through_the_points_with_their_slope(line):
    figure = figures.curves_and_slopes(line, -1)
    tangents = [trace for trace in figure.data if trace.line.width == 5]
    assert len(tangents) == 6  # the teacher's and each student's
    for trace, network in zip(tangents[:2], (line["teacher"], {
            what: line["students"][0][what][-1] for what in ("values", "slopes")})):
        x, y = (np.array(values).reshape(-1, 3)[:, :2] for values in (trace.x, trace.y))
        assert np.allclose(x.mean(1), line["inputs"][line["at"]], atol=1e-6)
        assert np.allclose(y.mean(1), network["values"][line["at"]], atol=1e-5)
        assert np.allclose((y[:, 1] - y[:, 0]) / (x[:, 1] - x[:, 0]), network["slopes"][line["at"]], rtol=1e-3)


def test_each_student_has_a_column_under_its_name(line):
    layout = figures.curves_and_slopes(line, -1).layout
    assert [note.text for note in layout.annotations] == [f"<b>{student['title']}</b>" for student in line["students"]]
    for i, note in enumerate(layout.annotations, start=1):
        for axis in (layout[f"xaxis{i}"], layout[f"xaxis{i + 3}"]):
            assert note.x == pytest.approx(sum(axis.domain) / 2) and note.xanchor == "center"


def test_scales_are_the_teachers_at_every_snapshot(line):
    first, last = (figures.curves_and_slopes(line, snapshot).layout for snapshot in (0, -1))
    assert first.yaxis.range == last.yaxis.range and first.yaxis.range[0] < line["teacher"]["values"].min()


def test_the_noise_in_use_is_marked_on_the_logarithmic_axis(line):
    figure = figures.two_sides(line, 0.05)
    assert figure.layout.shapes[0].x0 == 0.05 and figure.layout.annotations[0].x == pytest.approx(np.log10(0.05))
    assert [list(trace.y) for trace in figure.data] == [
        list(student[side]) for student in line["students"] for side in ("noisy", "expanded")]


def test_a_neuron_has_one_colour_and_dash_and_its_place_in_each_panel(plane):
    figure = figures.regions(plane, 1)
    for i in range(6):
        lines = [trace for trace in figure.data if trace.name == f"neuron {i + 1}"]
        assert len({(line.line.color, line.line.dash) for line in lines}) == 1 and len(lines) == 4
        for trace, ends in zip(lines, [plane["teacher"]["boundaries"][0][i],
                                       *(student["boundaries"][1][i] for student in plane["students"])]):
            assert np.array_equal(np.stack([trace.x, trace.y], 1), ends, equal_nan=True)
    said = [note.text for note in figure.layout.annotations if "activations" in note.text]
    assert said == [f"{student['agreement'][1]:.0%} of activations agree, {student['decisions'][1]:.0%} of answers"
                    for student in plane["students"]]


def test_the_end_of_a_stage_lies_between_two_snapshots():
    figure = figures.over_training({"one": np.arange(5) / 5}, [0, 1, 3, 10, 20], 10, "shares", percent=True, ends=5)
    shown, end = figure.layout.shapes
    assert (shown.x0, end.x0) == (3, 2.5)
