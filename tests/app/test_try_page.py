"""Try it, without a browser, on real runs."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from app import engine, uploads
from app.components import draw_pad, image_source, take
from kdcore import arrays
from kdcore.settings import Settings
from tests.app.test_layer_pages import page, trained  # noqa: F401


@pytest.fixture
def asked(page, monkeypatch):  # noqa: F811
    """What the page asks the networks."""
    found, ask = [], engine.ask

    def kept(question, **arguments):
        found.append(arguments)
        return ask(question, **arguments)

    monkeypatch.setattr(engine, "ask", kept)
    return found


@pytest.mark.parametrize("source", ["An empty pad", "A file", "The camera"])
def test_an_empty_pad_is_not_answered(page, asked, source):  # noqa: F811
    made = page("try", "maps", source=source, shaken="0.1")
    assert not made.exception and not made.error and not asked and not made.code
    assert [words.value for words in made.info] == [
        "Draw something first, or start from an image: every network then answers here."]


def test_a_drawing_is_answered_with_what_it_is_made_of(page, trained, asked, monkeypatch, tmp_path):  # noqa: F811
    pixels = np.random.default_rng(1).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    drawn(monkeypatch, pixels.tobytes())
    made = page("try", "maps", shaken="0.1")
    assert not made.exception and not made.error and not made.info
    assert "it is what the teacher says: " in made.caption[-2].value
    assert all(made.slider(key).disabled for key in ("square_x", "square_y")) and len(asked) == 1
    shown = engine.answer("answers_to", **asked[0])
    (tmp_path / "try-it.npz").write_bytes(take._written(arrays.npz, {"answers": ("answers_to", asked[0])}))
    scope = {}
    monkeypatch.chdir(tmp_path)
    exec(made.code[0].value.replace("Store()", f"Store({str(trained.folder)!r})"), scope)
    np.testing.assert_array_equal(scope["answers"]["pixels"], shown["pixels"])
    for ours, theirs in zip(scope["answers"]["entries"], shown["entries"], strict=True):
        np.testing.assert_allclose(ours["maps"], theirs["maps"], rtol=1e-5)
    assert b"given.answers.pixels" in take._written(arrays.csv, {"answers": ("answers_to", asked[0])})


def test_a_test_image_is_answered_as_the_link_has_it_disturbed(page, trained, asked):  # noqa: F811
    from kdcore import inspect

    made = page("try", "maps", source="A test image", image="7", shaken="0.1", across="25", rotation="-30", square="40",
                square_y="80", map="Cost gradient")
    assert not made.exception and not made.error
    students = trained.runs("maps")
    np.testing.assert_array_equal(asked[-1]["pixels"], inspect.image(trained, students[0]["id"], 7)["pixels"])
    assert asked[-1]["kind"] == "cost_gradient" and asked[-1]["perturbation"] == {
        "noise": 0.1, "shift": (0.25, 0.0), "rotation": -30, "square": 0.4, "at": (0.5, 0.8), "seed": 0}
    made.button[-1].click().run()
    assert not made.exception and asked[-1]["perturbation"] == {
        "noise": 0.0, "shift": (0.0, 0.0), "rotation": 0, "square": 0.0, "at": (0.5, 0.5), "seed": 0}


def test_nonsense_in_the_link_opens_on_something_sensible(page, asked):  # noqa: F811
    made = page("try", "maps", source="42", shaken="loud", rotation="1e9", square="-3", map="nothing")
    assert not made.exception and not made.error and not asked
    made.button_group("source").set_value("A test image").run()
    assert not made.exception and asked[-1]["perturbation"]["rotation"] == 0 and asked[-1]["pixels"].any()


@pytest.mark.parametrize("experiment", ["no maps", "no teacher"])
def test_every_kind_of_network_answers(page, asked, experiment):  # noqa: F811
    made = page("try", experiment, source="A test image")
    assert not made.exception and not made.error and not made.info
    assert len(asked[-1]["networks"]) == (2 if experiment == "no maps" else 1)


def test_a_map_that_is_not_defined_is_a_sentence_and_another_one_can_be_chosen(page, asked):  # noqa: F811
    made = page("try", "maps", source="A test image", map="LRP")
    assert not made.exception and "LRP is not defined for this network" in made.info[0].value.replace("\\", "")
    made.selectbox("map").set_value("summed_jacobian").run()
    assert not made.exception and not made.info and asked[-1]["kind"] == "summed_jacobian"


def drawn(monkeypatch, pixels, base=None):
    """As if the pad had sent these pixels, drawn onto its own image or another."""
    def pad(data, **_):
        content = base64.b64encode(pixels).decode()
        return SimpleNamespace(drawn={"number": 5, "base": base or data["base"], "pixels": content})

    monkeypatch.setattr(draw_pad, "_PAD", pad)


def test_what_is_drawn_is_what_the_networks_see(page, asked, monkeypatch):  # noqa: F811
    pixels = np.random.default_rng(1).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    drawn(monkeypatch, pixels.tobytes())
    assert not page("try", "maps").exception
    np.testing.assert_allclose(asked[-1]["pixels"], pixels / 255, atol=1e-6)


def test_what_was_drawn_onto_another_image_or_taken_back_is_not_seen(monkeypatch):
    image = np.random.default_rng(1).random((3, 8, 8)).astype(np.float32)
    drawn(monkeypatch, bytes(192), base="another")
    assert draw_pad.draw_pad(image)[0] is image
    drawn(monkeypatch, b"")
    assert draw_pad.draw_pad(image) == (image, 5)
    drawn(monkeypatch, bytes(192))
    seen, number = draw_pad.draw_pad(image)
    assert number == 5 and seen.shape == (3, 8, 8) and not seen.any()


def uploaded(monkeypatch, content):
    file = SimpleNamespace(getvalue=lambda: content, file_id=str(hash(content)))
    monkeypatch.setattr(image_source.st, "file_uploader", lambda *words, **more: file)


def test_a_file_is_seen_in_the_sets_size_and_inverted_where_asked(page, asked, monkeypatch):  # noqa: F811
    content = io.BytesIO()
    Image.new("RGB", (30, 20), (51, 51, 51)).save(content, "PNG")
    uploaded(monkeypatch, content.getvalue())
    for inverted, grey in (("false", 0.2), ("true", 0.8)):
        made = page("try", "maps", source="A file", inverted=inverted)
        assert not made.exception and not made.error
        np.testing.assert_allclose(asked[-1]["pixels"], np.full((1, 8, 8), grey), atol=1e-6)


@pytest.mark.parametrize(("content", "most", "words"), [
    (b"GIF89a, or so", 500, "it cannot be decoded"), (bytes(2_000_001), 1, "has 2 MB, and 1 are the most"),
    (bytes(20_600_000), 500, "has 21 MB, and 20 are the most")])
def test_what_is_no_image_or_too_large_is_said(page, asked, monkeypatch, content, most, words):  # noqa: F811
    monkeypatch.setattr(engine, "settings", lambda: Settings(most_upload_megabytes=most))
    uploaded(monkeypatch, content)
    made = page("try", "maps", source="A file")
    assert not made.exception and words in made.error[0].value.replace("\\", "")
    assert not any("pixels" in one for one in asked)


def test_an_upload_is_decoded_once_and_another_one_anew(page, asked, monkeypatch):  # noqa: F811
    uploads.read_image.clear()
    for grey in (51, 102):
        content = io.BytesIO()
        Image.new("L", (30, 20), grey).save(content, "PNG")
        uploaded(monkeypatch, content.getvalue())
        for _ in range(2):
            assert not page("try", "maps", source="A file").exception
            np.testing.assert_allclose(asked[-1]["pixels"], np.full((1, 8, 8), grey / 255), atol=1e-6)
    assert [one["inverted"] for one in asked if "content" in one] == [False, False]
