"""Figures of groups: every number in its place, every name as it was written."""

import numpy as np
import pytest

from app import figures

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


def test_reliability_shows_the_bins_that_have_answers():
    group = {"edges": np.array([0, 0.5, 1]), "count": np.array([0, 4]), "confidence": np.array([np.nan, 0.8]),
             "accuracy": np.array([np.nan, 0.75])}
    drawn = figures.reliability([{**look, **group} for look in LOOKS])
    line, shares = drawn.data[1], drawn.data[2]
    assert (list(line.x), list(line.y), list(line.customdata)) == ([0.8], [0.75], [4])
    assert list(shares.x) == [0, 0.5, 1] and list(shares.y) == [0, 1, 1]
    assert [trace.name for trace in drawn.data if trace.showlegend is not False] == ["as sure as right", *WRITTEN]
