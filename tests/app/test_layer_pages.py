"""The pages on what is inside the networks, without a browser, on real runs."""

import re

import numpy as np
import pytest
import torch

from app import engine
from app.components import beside
from kdcore import data, snapshots, worker
from kdcore.config import read
from kdcore.inspector import _questions
from kdcore.store import Store

TEACHER = {"data": {"name": "digits"}, "network": {"name": "wrn_10_1", "width": 0.5}, "steps": 12, "evaluations": 1,
           "device": "cpu"}
STUDENT = {"data": {"name": "digits", "per_class": 2}, "network": {"name": "wrn_10_1", "width": 0.25},
           "teacher": TEACHER, "steps": 8, "evaluations": 2, "device": "cpu"}
PAGES = {"attention": "maps", "flow": "maps"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with two students of a convolutional teacher, and one of a fully connected one."""
    store = Store(tmp_path_factory.mktemp("trained"))
    store.submit_all([read({**STUDENT, "method": method}).planned() for method in ("labels_only", "attention")], "maps")
    flat = {**STUDENT, "network": {"name": "fc_student", "width": 0.05}, "teacher": {
        **TEACHER, "network": {"name": "fc_teacher", "width": 0.05}}}
    store.submit_all([read(flat).planned()], "no maps")
    store.submit_all([read({**STUDENT, "teacher": None}).planned()], "no teacher")
    while row := store.queue.claim(99):
        worker.execute(store, row)
    return store


@pytest.fixture
def page(trained, page_of, monkeypatch):
    """A page by name, on an experiment of that store."""
    questions = _questions(trained)
    monkeypatch.setattr(engine, "store", lambda: trained)
    for name in ("ask", "answer"):
        monkeypatch.setattr(engine, name, lambda question, **arguments: questions[question](**arguments))

    def open_on(name, experiment, **parameters):
        made = page_of(name)
        made.query_params["experiment"] = experiment
        for parameter, value in parameters.items():
            made.query_params[parameter] = value
        return made.run()

    return open_on


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn(page, name):
    made = page(name, PAGES[name])
    assert not made.exception and not made.error and not made.info
    assert any("0 is the same, and training on these" in caption.value for caption in made.caption)
    made.select_slider("step").set_value(0).run()
    assert not made.exception and not made.error


@pytest.mark.parametrize("name", PAGES)
def test_what_has_no_such_maps_says_so(page, name):
    made = page(name, "no maps")
    assert not made.exception and "the layers of a fully connected network are vectors" in made.info[0].value
    made = page(name, "no teacher")
    assert not made.exception and "have no teacher to compare with" in made.info[0].value


def test_agreement_is_drawn_of_maps_and_of_vectors(page):
    for experiment, places in (("maps", True), ("no maps", False)):
        made = page("agreement", experiment)
        assert not made.exception and not made.error and not made.info
        said = [caption.value for caption in made.caption]
        assert any(words.startswith("Over 500 test images. Compared with the teacher's channels: ") for words in said)
        assert any("their neurons have no place in the image" in words for words in said) != places
        first, *_ = made.button_group("of_layer").options
        made.button_group("of_layer").set_value(first.content if hasattr(first, "content") else first).run()
        assert not made.exception and not made.error


def test_the_jacobian_of_attention_has_its_window(page):
    made = page("attention", "maps", kind="What would draw it", window="third", smooth="true", under="true")
    assert not made.exception and not made.selectbox("window").disabled
    assert any("The ring marks where the teacher attends most" in caption.value for caption in made.caption)


def test_all_that_networks_have_of_an_image_stands_side_by_side(page, trained):
    made = page("side", "maps")
    assert not made.exception and not made.error and not made.info
    said = " ".join(caption.value for caption in made.caption)
    assert "as the loss of that kind of knowledge has it" in said
    made.multiselect("rows").set_value(list(beside.kinds())).run()
    assert not made.exception
    assert any("vectors, without a place to draw" in caption.value for caption in made.caption)
    steps = trained.snapshot_steps(max(run["id"] for run in trained.runs("maps")))
    next(button for button in made.button if button.label == "Play").click().run()
    assert not made.exception and made.select_slider("step").value == steps[0]
    assert any(button.label == "Pause" for button in made.button)


def test_the_code_to_take_away_gives_the_numbers_of_the_picture(trained, page, capsys):
    made = page("side", "maps", rows="answers", temperature="4.0")
    program = next(code.value for code in made.code if "inspect.outputs" in code.value)
    scope = {}
    exec(program.replace("Store()", f"Store({str(trained.folder)!r})"), scope)
    run = max(run["id"] for run in trained.runs("maps"))
    steps = trained.snapshot_steps(run)
    network = snapshots.network(trained, run, steps[-1])
    image = data.images(read(trained.run(run)["config"]).data, "test", index=torch.tensor([0]))[:].pixels
    expected = (network(image) / 4).softmax(1)[0].detach().numpy()
    assert np.allclose(scope["answers"][-1]["shares"], expected, atol=1e-6)
    assert "shares" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["answers", "full_jacobian"])
def test_the_gallery_shows_where_two_networks_differ(page, by):
    made = page("disagreements", "maps")
    made.selectbox("by").set_value(by).run()
    assert not made.exception and not made.error and not made.info
    assert "these 24 differ most" in made.caption[0].value
    captions = [text.value for text in made.markdown if text.value.startswith("**")]
    assert len(made.get("image")) == len(captions) == 24
    for image, words in zip(made.get("image"), captions):
        told = re.fullmatch(r"Test image \d+ of class (.+): the first network says (.+) \((\d+%)\), the other network "
                            r"says (.+) \((\d+%)\)", image.proto.imgs[0].alt)
        label, *answers = words.split("  \n")
        assert label == f"**{told[1]}**"
        assert [f"{told[2]} {told[3]}]", f"{told[4]} {told[5]}]"] == [one.split(" ", 1)[1] for one in answers]
    made.selectbox("other").set_value(made.selectbox("one").value).run()
    assert "one agrees with itself" in made.info[0].value
