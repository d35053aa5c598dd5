"""Bars of what networks answer: every number at its class, every name as it was written."""

import html

import numpy as np
import pytest

from app import figures


def network(name, classes, seed, colour="#0072B2"):
    drawn = np.random.default_rng(seed).dirichlet(np.full(len(classes), 0.5))
    return {"name": name, "colour": colour, "probabilities": drawn, "classes": classes}


def test_every_class_has_its_probability_in_every_networks_row():
    classes = ("<b>cat</b>", "a & b", "dog")
    networks = [network("Teacher", classes, 1, "#A05EB5"), network("<i>mine</i>", classes, 2)]
    figure = figures.answers(networks)
    for bar, one in zip(figure.data, networks, strict=True):
        assert [html.unescape(name) for name in bar.x] == list(classes)
        np.testing.assert_array_equal(bar.y, one["probabilities"])
        assert bar.marker.color == one["colour"]
        assert list(bar.text) == [f"{value:.0%}" if value >= 0.15 else "" for value in one["probabilities"]]
    for title, one in zip(figure.layout.annotations, networks, strict=True):
        largest, best = max(zip(one["probabilities"], classes))
        assert html.unescape(title.text) == f"<b>{one['name']}</b>  says {best} ({largest:.0%})"


def test_rows_lie_one_below_the_other_with_room_for_titles_and_labels():
    many, few = tuple(map(str, range(1000))), ("a", "b")
    figure = figures.answers([network("one", many, 1), network("two", few, 2), network("three", few, 3)])
    layout, height = figure.layout, figure.layout.height
    ends = [layout[f"yaxis{axis}"].domain for axis in (1, 2, 3)]
    assert [layout[f"xaxis{axis}"].showticklabels for axis in (1, 2, 3)] == [True, False, True]
    between = [(above[0] - below[1]) * height for above, below in zip(ends, ends[1:])]
    assert between == pytest.approx([48, 24]) and (1 - ends[0][1]) * height == pytest.approx(24)
    assert ends[2][0] * height == pytest.approx(24)


def test_of_many_classes_those_are_shown_that_some_network_finds_likeliest():
    classes = tuple(map(str, range(1000)))
    networks = [network(str(seed), classes, seed) for seed in range(3)]
    figure = figures.answers(networks)
    largest = sorted(range(1000), key=lambda i: -max(one["probabilities"][i] for one in networks))[:12]
    for bar, one in zip(figure.data, networks):
        assert list(bar.x) == [str(i) for i in sorted(largest)]
        np.testing.assert_array_equal(bar.y, one["probabilities"][sorted(largest)])
        assert str(one["probabilities"].argmax()) in bar.x
    assert len(figure.to_json()) < 30_000
