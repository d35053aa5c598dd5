"""The Data page without a browser."""

import json

import numpy as np
import pytest

from app import downloads, engine, figures
from kdcore import inspect
from kdcore.config import read
from tests.data.made import class_folders, encoded, picture, zipped

LEARNS = {"data": {"name": "digits", "per_class": 8, "labelled_per_class": 5, "label_noise": 0.3, "validation": 0.25,
                   "augment": "crop_flip"}, "network": {"name": "fc_student", "width": 0.05}, "steps": 1}
MANY = [f"kind {n}" for n in range(27)]


@pytest.fixture
def page(page_of, monkeypatch, questions):
    """The page, with the inspector's questions on the page's own store."""
    def ask(question, **arguments):
        here = {"image_groups": inspect.image_groups, "examples": inspect.examples, "varied": inspect.varied}
        return here[question](engine.store(), **arguments) if question in here else questions[question](**arguments)

    def open_on(**parameters):
        made = page_of("data")
        monkeypatch.setattr(engine, "ask", ask)
        monkeypatch.setattr(downloads, "present", lambda: {"mnist": 0.0})
        for name, value in parameters.items():
            made.query_params[name.replace("_", ".")] = value
        return made.run()

    return open_on


def numbers(made):
    return {metric.label: metric.value for metric in made.metric}


def test_a_set_is_shown_with_its_numbers(page):
    made = page()
    assert not made.exception and not made.error and not made.info
    assert numbers(made) == {"Training": "1,297", "Test": "500", "Classes": "10", "Pixels": "8×8 grey"}
    before = made.number_input("choice").value
    next(button for button in made.button if button.label == "Others").click().run()
    assert not made.exception and made.number_input("choice").value == before + 1
    made.button_group("part").set_value("test").run()
    assert not made.exception and made.selectbox("augment").disabled
    made.number_input("example").set_value(500).run()
    assert not made.exception and "there is no image 500" in made.error[0].value


def test_a_link_with_nonsense_opens_on_something(page):
    made = page(data="Nothing", whose="nobody", shown="nothing", choice="-4", augment="Twice")
    assert not made.exception and not made.error and numbers(made)["Training"] == "1,297"


def test_what_is_not_here_says_how_it_comes(page):
    made = page(data="MNIST")
    assert not made.exception and "a download of 12 MB" in made.info[0].value
    assert [button.label for button in made.button] == ["Download MNIST"] and not made.metric


def test_a_run_has_its_own_images(page):
    made = page()
    engine.store().submit_all([read(LEARNS).planned()], "noisy")
    made.button_group("whose").set_value("an experiment's").run()
    assert not made.exception and not made.error
    assert numbers(made) == {"Labelled": "35", "Wrongly labelled": "15", "Unlabelled": "10", "Held out": "20",
                             "Classes": "10", "Pixels": "8×8 grey"}
    said = " ".join(caption.value for caption in made.caption)
    assert ("The run uses 8 images of each class. 25% of them are held out. 5 of each class keep their labels. 30% of "
            "the labels are replaced by wrong ones. Each step varies them: crop and flip. The seed of the draw is 0."
            ) in said and "Each training step sees another draw of it" in said
    made.button_group("shown").set_value(["held out"]).run()
    assert not made.exception and not made.error
    plain = {**LEARNS, "data": {"name": "digits", "per_class": 2, "label_noise": 0.5}}
    engine.store().submit_all([read(plain).planned()], "plain")
    made.run()
    made.selectbox("experiment").set_value("plain").run()
    assert not made.exception and not made.error and numbers(made)["Wrongly labelled"] == "10"


def test_without_an_experiment_it_says_what_to_do(page):
    made = page(whose="an experiment's")
    assert not made.exception and "set up a run on **Train**" in made.info[0].value


def test_ones_own_images_come_with_what_was_left_out(page, tmp_path):
    files = class_folders(count=5) | {"cat/notes.txt": b"x", "cat/more.txt": b"x", "loose.png": encoded(picture(1)),
                                      "dog/[cut](short).png": b"x"}
    made = page(data="Own images", data_path=str(zipped(tmp_path / "pets.zip", files)))
    assert not made.exception and not made.error
    assert made.expander[0].label == "4 files or folders were left out"
    said = [words.value for words in made.expander[0].markdown]
    assert said[0] == r"**2 × it is not an image file:** cat/more\.txt, cat/notes\.txt"
    assert r"**1 × it cannot be decoded:** dog/\[cut\]\(short\)\.png \(UnidentifiedImageError\)" in said
    assert numbers(made)["Training"] == "8"
    made = page(data="Own images", data_path=str(tmp_path / "gone.zip"))
    assert not made.exception and "there is no such folder or file" in made.error[0].value.replace("\\", "")


def test_of_many_classes_twenty_are_in_sight(page, tmp_path):
    place = zipped(tmp_path / "many.zip", class_folders(MANY, count=2, size=(8, 8)))
    made = page(data="Own images", data_path=str(place))
    assert not made.exception and made.selectbox("classes").options == [
        f"{sorted(MANY)[0]} to {sorted(MANY)[19]}", f"{sorted(MANY)[20]} to {sorted(MANY)[26]}"]
    made.selectbox("classes").set_value(20).run()
    assert not made.exception and not made.error
    for count in (45, 22, 2):
        fewer = zipped(tmp_path / f"{count}.zip", class_folders([f"a {n}" for n in range(count)], 2, size=(8, 8)))
        made.text_input("data.path").set_value(str(fewer)).run()
        made.selectbox("classes").set_value(40).run() if count == 45 else None
        assert not made.exception and not made.error and numbers(made)["Classes"] == str(count)


def tile(shade, **more):
    return {"pixels": np.full((1, 8, 8), shade, np.uint8), "note": "", "colour": None, "told": "it", **more}


def test_images_stand_in_rows_on_a_grid_of_whole_pixels():
    rows = [[tile(10), tile(20, note="<b>", colour="#D55E00")], [tile(30)]]
    figure = figures.image_rows(rows, ["cats", "<i>dogs"], side=30)
    picture = figure.layout.images[0]
    assert (picture.sizex, picture.sizey) == (2 * 24 + 6, 2 * (24 + 18)) and figure.layout.uirevision == "constant"
    assert list(figure.data[0].x) == [12, 42, 12] and list(figure.data[0].y) == [12, 12, 54]
    assert {note.text for note in figure.layout.annotations} == {"cats", "&lt;i&gt;dogs", "&lt;b&gt;"}
    assert [frame.line.color for frame in figure.layout.shapes] == ["#D55E00"]
    json.loads(figure.to_json())


def test_the_stitched_picture_holds_the_images():
    from app.figures.pictures import stitched_images
    canvas, places, (height, width) = stitched_images([[tile(10), tile(20)], [tile(30)]], 30, 6)
    assert (height, width) == (24, 24) and places == [(0, 0), (0, 30), (30, 0)]
    for (top, left), shade in zip(places, (10, 20, 30)):
        assert (canvas[top : top + 24, left : left + 24] == (shade, shade, shade, 255)).all()
    assert (canvas[30:, 30:] == 0).all() and (canvas[24:30] == 0).all()


def test_bars_are_the_numbers_and_differ_by_more_than_colour():
    groups = [{"name": "a", "colour": "red", "values": np.array([3, 4])},
              {"name": "<b>", "colour": "blue", "values": np.array([1, 0])}]
    for stacked, mode in ((True, "stack"), (False, "group")):
        figure = figures.class_counts(groups, ["<x>", "y"], stacked=stacked)
        assert [list(bar.y) for bar in figure.data] == [[3, 4], [1, 0]] and figure.layout.barmode == mode
        assert list(figure.data[0].x) == ["&lt;x&gt;", "y"] and figure.data[1].name == "&lt;b&gt;"
        assert figure.data[0].marker.pattern.shape != figure.data[1].marker.pattern.shape
