"""Figures of groups: every number in its place, every name as it was written."""

import numpy as np
import pytest

from app import figures
from app.figures.text import heads

NAMES = ("plain", "<b>bold</b> & more")
LOOKS = [{"name": name, "colour": colour, "dash": dash, "symbol": symbol} for name, colour, dash, symbol in zip(
    NAMES, figures.COLOURS, figures.DASHES, figures.SYMBOLS)]
WRITTEN = ["plain", "&lt;b&gt;bold&lt;/b&gt; &amp; more"]


def test_a_band_lies_one_error_on_either_side_of_its_line():
    group = {"x": np.array([1.0, 2.0, 4.0]), "mean": np.array([0.5, 0.6, 0.7]), "error": np.array([0.1, 0.2, np.nan]),
             "count": np.array([3, 3, 1])}
    drawn = figures.bands([{**look, **group} for look in LOOKS], title="t", across="a", logarithmic=True,
                          level=("teacher", 0.9))
    below, above = drawn.data[0], drawn.data[2]
    assert list(below.x) == [1, 2, 4, 4, 2, 1]
    assert list(below.y) == pytest.approx([0.6, 0.8, 0.7, 0.7, 0.4, 0.4]), "no band where one value counts"
    assert list(above.y) == [0.5, 0.6, 0.7] and above.customdata[1].tolist() == [0.2, 3]
    assert [line.name for line in drawn.data[2:]] == WRITTEN and drawn.layout.shapes[0].y0 == 0.9
    assert drawn.layout.yaxis.type == "log" and drawn.layout.uirevision == "constant"


def test_spots_at_one_place_are_set_apart_and_say_where_they_are():
    families = [{**look, "x": [10, 1000], "y": [0.5, 0.6], "error": [0.1, None], "notes": ["first", "second"]}
                for look in LOOKS]
    drawn = figures.spots(families, title="t", across="a")
    left, right = drawn.data
    assert left.x[0] < 10 < right.x[0] and left.x[0] * right.x[0] == pytest.approx(100)
    assert [tuple(told) for told in left.customdata] == [("first", 10), ("second", 1000)]
    low, high = drawn.layout.xaxis.range
    assert low < np.log10(left.x[0]) and np.log10(right.x[1]) < high
    alone = figures.spots(families[:1], title="t", across="a").data[0]
    assert list(alone.x) == [10, 1000]


def test_cells_have_their_numbers_and_a_symmetrical_scale():
    values = np.array([[0.5, -2.0], [np.nan, 1.0]])
    texts = [["a", "b"], ["", "d"]]
    drawn = figures.cells(values, list(NAMES), ["one", "two"], texts=texts, signed=True, hover="h", ringed=[(1, 0)])
    heatmap = drawn.data[0]
    assert (heatmap.zmin, heatmap.zmax) == (-2, 2) and list(map(list, heatmap.text)) == texts
    assert list(heatmap.y) == WRITTEN and heatmap.texttemplate
    ring = drawn.layout.shapes[0]
    assert (ring.x0 + ring.x1, ring.y0 + ring.y1) == (0, 2)
    many = figures.cells(np.zeros((30, 2)), [str(i) for i in range(30)], ["one", "two"], texts=[["0"] * 2] * 30,
                         hover="h")
    assert many.data[0].texttemplate is None, "no room for numbers"


def test_each_group_has_a_reliability_diagram_of_the_bins_that_have_answers():
    group = {"edges": np.array([0, 0.5, 1]), "count": np.array([0, 4]), "confidence": np.array([np.nan, 0.8]),
             "accuracy": np.array([np.nan, 0.75])}
    drawn = figures.reliability([{**look, **group} for look in LOOKS])
    assert [trace.name for trace in drawn.data if trace.showlegend is not False] == [
        "share of its answers", "as sure as right"]
    assert len({trace.xaxis for trace in drawn.data}) == 2 and len(drawn.data) == 6
    for bars, _, line in zip(drawn.data[::3], drawn.data[1::3], drawn.data[2::3]):
        assert (list(bars.x), list(bars.y), list(bars.width)) == ([0.25, 0.75], [0, 1], [0.5, 0.5])
        assert (list(line.x), list(line.y), list(line.customdata)) == ([0.8], [0.75], [4])
    assert [line.name for line in drawn.data[2::3]] == WRITTEN
    assert [note.text for note in drawn.layout.annotations] == [f"<b>{name}</b>" for name in WRITTEN]


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (3, 1, 3), (4, 2, 2), (5, 2, 3), (13, 5, 3)])
def test_small_charts_stand_in_rows_and_the_lowest_of_a_column_has_its_ticks(count, rows, columns):
    group = {**LOOKS[0], "edges": np.array([0, 1]), "count": np.array([4]), "confidence": np.array([0.8]),
             "accuracy": np.array([0.75])}
    drawn = figures.reliability([{**group, "name": str(i)} for i in range(count)])
    places = {(axis.domain[0], drawn.layout[f"yaxis{axis.anchor[1:]}"].domain[0]): axis
              for axis in drawn.select_xaxes() if axis.title.text}
    assert len(places) == columns and all(axis.showticklabels for axis in places.values())
    assert len({trace.xaxis for trace in drawn.data}) == count
    assert len({axis.domain for axis in drawn.select_yaxes()}) == rows


def test_rows_have_short_names_and_the_whole_ones_to_read():
    names = [f"Activation boundaries, then soft targets · per class {count}" for count in (1, 5)]
    heatmap = figures.cells(np.zeros((2, 3)), names, list("abc"), texts=[[""] * 3] * 2, hover="%{customdata}").data[0]
    assert list(heatmap.y) == ["Activation boundaries…<br>per class 1", "Activation boundaries…<br>per class 5"]
    assert [row[0] for row in heatmap.customdata] == names


@pytest.mark.parametrize(("names", "found"), [
    (["image", "Teacher", "Labels only · seed 1", "Full Jacobian · seed 1"],
     ["image", "Teacher", "Labels<br>only", "Full<br>Jacobian"]),
    (["Labels only · seed 1", "Labels only · seed 2"], ["Labels<br>only<br>seed 1", "Labels<br>only<br>seed 2"]),
    (["Activation boundaries, then soft targets · seed 1", "Full Jacobian · seed 2"],
     ["Activation<br>boundaries…<br>seed 1", "Full<br>Jacobian<br>seed 2"]),
    (["One two three four five six seven", "One two three four five six eight"],
     ["One two<br>three<br>four five<br>six seven", "One two<br>three<br>four five<br>six eight"]),
    (["a <b> · c"], ["a &lt;b&gt;<br>c"]), (["same", "same"], ["same", "same"])], ids=str)
def test_heads_are_short_and_still_tell_names_apart(names, found):
    assert heads(names, 9) == found
