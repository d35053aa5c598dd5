"""Figures: every number in its place, every name as it was written."""

import base64
import html
import io
import re
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from app import figures

NAMES = ["<b>bold</b>", "a & b", "<script>alert(1)</script>", "&lt;"]


def shown(text):
    """What Plotly shows of a label: mark-up has gone, entities are characters."""
    return html.unescape(re.sub(r"</?(?:b|br)>", "", text))


def tiles(rows, columns, height=3, width=4, seed=0, low=-1.0):
    return np.random.default_rng(seed).uniform(low, 1, (rows, columns, height, width))


def places(picture, rows, height=3, width=4):
    """(row, column) -> where this tile lies in a stitched picture; between rows lies a gap of one height."""
    gap = (picture.shape[0] - rows * height) // max(rows - 1, 1)
    return lambda row, column: (slice(row * (height + gap), row * (height + gap) + height),
                                slice(column * (width + 1), column * (width + 1) + width))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (3, 2)])
def test_a_stitched_picture_has_each_pixel_in_its_place(rows, columns):
    given = tiles(rows, columns)
    picture = figures.stitched(given)
    assert picture.shape == (rows * 4 - 1, columns * 5 - 1) and picture.dtype == np.float32
    expected = np.full(picture.shape, np.nan)
    for row in range(rows):
        for column in range(columns):
            for y in range(3):
                for x in range(4):
                    expected[row * 4 + y, column * 5 + x] = given[row, column, y, x]
    np.testing.assert_array_equal(picture, expected.astype(np.float32))
    assert np.isnan(picture).sum() == picture.size - given.size


def grid(given, **changes):
    rows, columns = given.shape[:2]
    texts = {"rows": [f"row {i}" for i in range(rows)] if rows > 1 else [],
             "columns": [f"column {i}" for i in range(columns)],
             "notes": [f"note {i}" for i in range(columns if rows == 1 else rows)]}
    return figures.map_grid(given, **{**texts, **changes})


def test_a_signed_map_has_a_scale_symmetric_about_zero():
    given = tiles(2, 3)
    heatmap = grid(given).data[-1]
    assert heatmap.zmax == -heatmap.zmin == np.abs(given).max()
    picture, place = np.array(heatmap.z), places(np.array(heatmap.z), 2)
    for row, column in np.ndindex(2, 3):
        np.testing.assert_array_equal(picture[place(row, column)], given[row, column].astype(np.float32))
    assert heatmap.colorscale[0] == (0.0, "rgb(5,48,97)") and heatmap.colorscale[-1] == (1.0, "rgb(103,0,31)")


def test_a_map_without_signs_has_a_scale_from_zero():
    given = tiles(1, 3, low=0.0)
    heatmap = grid(given).data[-1]
    assert (heatmap.zmin, heatmap.zmax) == (0, given.max())


@pytest.mark.parametrize(("low", "smallest"), [(-1.0, -7), (0.0, 0)])
def test_a_given_scale_holds(low, smallest):
    heatmap = grid(tiles(2, 2, low=low), scale=7).data[-1]
    assert (heatmap.zmin, heatmap.zmax) == (smallest, 7)


def test_a_map_of_nothing_is_drawn():
    heatmap = grid(np.zeros((1, 2, 3, 4))).data[-1]
    assert heatmap.zmin == 0 and heatmap.zmax > 0


def shown_pixels(laid) -> np.ndarray:
    """(H, W, 3) of a laid image, enlarged."""
    return np.array(Image.open(io.BytesIO(base64.b64decode(laid.source.partition(",")[2]))))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("overlay", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_image_leads_the_first_row_and_lies_under_the_maps(rows, overlay, channels):
    given, image = tiles(rows, 2), np.random.default_rng(1).random((channels, 3, 4))
    made = grid(given, image=image, overlay=overlay)
    over, = made.data
    assert (over.opacity < 1) == overlay
    drawn = np.array(over.z, dtype=float)
    place = places(drawn, rows)
    expected = {(0, 0), *((row, column) for row in range(rows) for column in (1, 2) if overlay)}
    found = {(laid.y + 0.5, laid.x + 0.5) for laid in made.layout.images}
    assert found == {(place(row, column)[0].start, place(row, column)[1].start) for row, column in expected}
    for row, column in np.ndindex(rows, 3):
        tile = drawn[place(row, column)]
        assert np.isnan(tile).all() if column == 0 else (tile == given[row, column - 1].astype(np.float32)).all()
    assert over.zmax == -over.zmin == np.abs(given).max()
    pixels = shown_pixels(made.layout.images[0])
    times = pixels.shape[1] // 4
    np.testing.assert_allclose(pixels[::times, ::times] / 255, np.broadcast_to(image, (3, 3, 4)).transpose(1, 2, 0),
                               atol=1 / 255)
    assert all((laid.sizex, laid.sizey, laid.layer) == (4, 3, "below") for laid in made.layout.images)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("image", [None, np.zeros((1, 3, 4))], ids=["alone", "with image"])
def test_every_label_and_note_is_written_at_its_tile(rows, image):
    made = grid(tiles(rows, 2), image=image)
    place = places(np.array(made.data[-1].z), rows)

    def across(text, column):
        return any(text in label.text and place(0, column)[1].start <= label.x < place(0, column)[1].stop
                   for label in made.layout.annotations)

    def down(text, row):
        return any(text in label.text and place(row, 0)[0].start - 1 <= label.y < place(row, 0)[0].stop
                   for label in made.layout.annotations)

    first = 0 if image is None else 1
    assert not first or across("image", 0)
    for column in range(2):
        assert across(f"column {column}", column + first)
        assert rows > 1 or across(f"note {column}", column + first)
    for row in range(rows if rows > 1 else 0):
        assert down(f"row {row}", row) and down(f"note {row}", row)


TEXTS = {"a map of each of two networks": (1, {}), "class maps of two networks": (2, {}),
         "class maps of one network": (1, {"rows": ["network"], "notes": ["note"]})}


@pytest.mark.parametrize("texts", TEXTS)
@pytest.mark.parametrize("image", [None, np.zeros((1, 3, 4))], ids=["alone", "with image"])
def test_no_two_texts_are_written_in_one_place(texts, image):
    """Texts at one height, anchored alike, stand a tile apart; and every one is there once."""
    rows, changes = TEXTS[texts]
    made = grid(tiles(rows, 2), image=image, **changes)
    written = [label for label in made.layout.annotations if shown(label.text).strip()]
    for one, other in combinations(written, 2):
        if (one.y, one.yanchor, one.yshift or 0) == (other.y, other.yanchor, other.yshift or 0):
            assert abs(one.x - other.x) >= 4, (one.text, other.text)
    assert all(sum(note in label.text for label in written) == 1 for note in changes.get("notes", ["note 0"]))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_written_beside_a_map(name):
    for rows in (1, 2):
        made = grid(tiles(rows, 1), rows=[name] * rows, columns=[name], notes=[name] * rows)
        texts = [label.text for label in made.layout.annotations]
        assert texts and all(set(shown(text).replace(name, "")) <= {" "} for text in texts)
        assert not any("<script" in text for text in texts)


def line(name="a run", group="a method", count=3, run=1):
    return {"run": run, "name": name, "group": group, "colour": "#000000", "dash": "solid", "steps": list(range(count)),
            "values": [0.5] * count}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_written_beside_a_curve(name):
    made = figures.curves([line(name, name)], title="Accuracy", level=(name, 0.5))
    curve, = made.data
    assert html.unescape(curve.name) == name and html.unescape(made.layout.annotations[0].text) == name
    assert html.unescape(curve.meta) == name
    assert not any("<script" in text for text in (curve.name, curve.meta, made.layout.annotations[0].text))


def test_a_groups_lines_share_a_legend_entry():
    made = figures.curves([line("1", "a", run=1), line("2", "a", run=2), line("3", "b", run=3)], title="Accuracy")
    assert [curve.showlegend for curve in made.data] == [True, False, True]
    assert [curve.legendgroup for curve in made.data] == ["a", "a", "b"]
    assert len({curve.uid for curve in made.data}) == 3 and made.layout.uirevision == "constant"


def test_a_long_curve_is_sent_in_at_most_300_points():
    made = figures.curves([line(count=5000)], title="Accuracy")
    assert len(made.data[0].x) <= 300 and (made.data[0].x[0], made.data[0].x[-1]) == (0, 4999)


@pytest.mark.parametrize("count", [0, 1, 2, 299, 300, 301, 599, 600, 12345])
def test_a_thinned_curve_keeps_its_ends(count):
    steps, values = figures.thinned(list(range(count)), [step**2 for step in range(count)])
    assert len(steps) == len(values) == min(count, 300)
    assert steps[:1] == [0][:count] and steps[-1:] == [count - 1][:count]
    assert steps == sorted(set(steps)) and values == [step**2 for step in steps]


def test_the_shown_step_is_marked_among_the_distances():
    made = figures.over_snapshots({0: {"distance": 2.0}, 10: {"distance": 0.5}}, 10, "distance")
    line, mark = made.data
    assert (list(line.x), list(line.y)) == (["0", "10"], [2.0, 0.5])
    assert (list(mark.x), list(mark.y)) == (["10"], [0.5])


PUNCTUATION = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"""


@pytest.mark.parametrize("text", ["plain words 1", "*a* _b_ `c`", "[text](http://x)", "<b>&</b>", "$x^2$", ":red[x]",
                                  "1. one", "# title", "a | b", "~~x~~", "a\\*b", ":material/home:"])
def test_markdown_shows_text_as_written(text):
    """A backslash before a punctuation mark makes it a character; without the backslashes the text is whole."""
    escaped = figures.markdown(text)
    assert re.sub(r"\\([" + re.escape(PUNCTUATION) + "])", r"\1", escaped) == text
    bare = re.sub(r"\\.", "", escaped)
    assert not set(bare) & set("\\`*_{}[]()<>#|$~:!")


@pytest.mark.parametrize("entity", ["&lt;b&gt;", "&copy;", "&#42;"])
def test_markdown_shows_an_entity_as_written(entity):
    """Markdown reads &copy; as one character unless its ampersand is escaped."""
    assert not re.search(r"(?<!\\)&", figures.markdown(entity))


def layer_rows():
    rng = np.random.default_rng(3)
    return [{"name": f"group{i}", "maps": [rng.uniform(-1, 1, (side, side)) for _ in range(3)],
             "notes": ["", "<b>1</b>", "2"], "mark": (0.25, 0.75) if i else None} for i, side in ((0, 8), (1, 4))]


@pytest.mark.parametrize("smooth", [False, True])
def test_each_layer_has_a_scale_of_its_own_and_is_read_by_its_values(smooth):
    rows, image = layer_rows(), np.zeros((1, 8, 8))
    figure = figures.layer_grid(rows, columns=["teacher", *NAMES[:2]], image=image, smooth=smooth)
    *heatmaps, ring = figure.data
    assert len(ring.x) == 3 and [heatmap.showscale for heatmap in heatmaps] == [True, False]
    for heatmap, told in zip(heatmaps, rows):
        largest = max(np.abs(one).max() for one in told["maps"])
        assert heatmap.zmax == -heatmap.zmin
        assert heatmap.zmax == pytest.approx(largest, rel=0.3 if smooth else 1e-6)
        cells, side = np.asarray(heatmap.z), 48 if smooth else len(told["maps"][0])
        assert cells.shape == (side, 3 * (side + 1) - 1) and len(heatmap.x) == cells.shape[1] + 1
        for column, one in enumerate(told["maps"] if not smooth else ()):
            assert np.allclose(cells[:, column * (side + 1) :][:, :side], one, atol=1e-6)


def test_every_map_has_a_scale_of_its_own_on_demand_and_one_may_be_missing():
    rows, image = layer_rows(), np.zeros((1, 8, 8))
    rows[0]["maps"][1], rows[1]["maps"] = None, [np.abs(one) for one in rows[1]["maps"]]
    figure = figures.layer_grid(rows, columns=["teacher", *NAMES[:2]], image=image, each=True)
    first, second = (np.asarray(heatmap.z) for heatmap in figure.select_traces("heatmap"))
    assert [np.nanmax(np.abs(first[:, 9 * column :][:, :8])) for column in (0, 2)] == pytest.approx([1, 1])
    assert np.isnan(first[:, 9:17]).all() and (np.nan_to_num(second) >= 0).all()
    scales = [heatmap.colorscale for heatmap in figure.select_traces("heatmap")]
    assert scales[0] != scales[1] and all(heatmap.showscale for heatmap in figure.select_traces("heatmap"))
    values = np.asarray(next(figure.select_traces("heatmap")).customdata)
    assert np.allclose(values[:, :8], rows[0]["maps"][0], atol=1e-6)


def test_the_words_of_a_grid_of_layers_are_there():
    figure = figures.layer_grid(layer_rows(), columns=["teacher", *NAMES[:2]], image=np.zeros((1, 8, 8)))
    texts = [shown(note.text).strip() for note in figure.layout.annotations]
    assert {"image", "teacher", "group0", "group1", "<b>1</b>", "2", *NAMES[:2]} <= set(texts)


def test_a_share_that_is_none_leaves_a_place_free_and_groups_differ_by_more_than_colour():
    groups = [{"name": name, "colour": "#000000", "values": [0.5, np.nan]} for name in NAMES]
    figure = figures.shares(groups, ["a", "b"], "share", "class")
    assert len({line.marker.symbol for line in figure.data}) == len(NAMES)
    assert [shown(line.name) for line in figure.data] == NAMES


def test_stages_are_told_apart_over_the_snapshots():
    timeline = {step: {"layers": [{"student": "group1.pre", "paid": float(step)}]} for step in (0, 1, 5, 20)}
    figure = figures.layers_over_snapshots(timeline, 5, "distance", [("first", 5), ("then", 20)])
    assert [shape.x0 for shape in figure.layout.shapes] == [2, 2.5] and figure.data[0].name == "group1"
    assert "first ends" in [note.text for note in figure.layout.annotations]


def test_layers_that_differ_in_size_are_drawn_apart_each_from_zero():
    timeline = {step: {"layers": [{"student": f"group{i}.pre", "paid": size / (1 + step)} for i, size in enumerate(
        (1, 100, 2000))]} for step in (0, 5, 20)}
    figure = figures.layers_over_snapshots(timeline, 5, "distance", [("first", 5), ("then", 20)], apart=True)
    assert len({line.yaxis for line in figure.data}) == 3 and list(figure.data[1].y) == [100, 100 / 6, 100 / 21]
    assert all(axis.rangemode == "tozero" for axis in figure.select_yaxes())
    words = [note.text for note in figure.layout.annotations]
    assert words == [f"<b>group{i}</b>" for i in range(3)] + ["first ends"] * 3
    assert [shape.xref for shape in figure.layout.shapes] == ["x", "x2", "x3"] * 2


@pytest.mark.parametrize("value, text", [(0.12345, "0.123"), (98.76, "98.8"), (1234.5, "1,234"), (0, "0")])
def test_numbers_have_three_digits_or_all_before_the_point(value, text):
    assert figures.number(value) == text


def test_each_map_on_its_own_scale_keeps_its_values_to_read():
    given = tiles(2, 2) * np.array([[1, 10], [0, 3]])[..., None, None]
    heatmap = grid(given, each=True, image=np.zeros((1, 3, 4))).data[-1]
    drawn, read = np.array(heatmap.z, dtype=float), np.array(heatmap.customdata, dtype=float)
    place = places(drawn, 2)
    for row, column in np.ndindex(2, 2):
        own = np.abs(given[row, column]).max() or 1
        np.testing.assert_allclose(drawn[place(row, column + 1)], given[row, column] / own, rtol=1e-6)
        np.testing.assert_allclose(read[place(row, column + 1)], given[row, column], rtol=1e-6)
    assert (heatmap.zmin, heatmap.zmax, heatmap.colorbar.ticktext[-1]) == (-1, 1, "highest<br>of a map")


def test_a_distribution_counts_every_value_once():
    groups = [{"name": name, "colour": "#000", "values": np.random.default_rng(i).random(50 + i)}
              for i, name in enumerate("ab")]
    made = figures.distributions(groups, "x", {"mark": 0.5}, of="images")
    for line, group in zip(made.data, groups):
        half = (line.x[1] - line.x[0]) / 2
        assert sum(line.y) == pytest.approx(1) and made.layout.yaxis.title.text == "share of images"
        assert [round(share * len(group["values"])) for share in line.y] == [
            sum(at - half <= value < at + half for value in group["values"]) for at in line.x]
    assert len({line.line.dash for line in made.data}) == 2


@pytest.mark.parametrize("values", [[0.5] * 4, [0.0], [3 / 13, 4 / 13, 9 / 13, 4 / 13]])
def test_values_in_steps_have_a_bin_for_each_step(values):
    line, = figures.distributions([{"name": "a", "colour": "#000", "values": np.array(values)}], "x", {}, "images").data
    assert sum(line.y) == pytest.approx(1)
    filled = [at for at, share in zip(line.x, line.y) if share]
    assert len(filled) == len(set(values))
