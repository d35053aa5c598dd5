"""The page on sensitivity maps, without a browser, on real runs."""

import random
import re

import numpy as np
import pytest

from app import engine
from app.components.map_sections import SECTIONS
from app.components.maps import EACH, PERCENTILE, Look
from kdcore import inspect
from kdcore.config import read
from kdcore.smoothing import smoothed
from tests.app.test_layer_pages import page  # noqa: F401
from tests.test_inspect import network, save
from tests.test_inspect_likeness import shapes  # noqa: F401

TEACHER = {"data": {"name": "digits"}, "network": network("fc_teacher", 0.05)}
STUDENT = {**TEACHER, "network": network("fc_student", 0.05), "teacher": TEACHER}


def some(count):
    """Fifty of so many test images: for image files come class by class, not the first ones."""
    return sorted(random.Random(0).sample(range(count), 50))


@pytest.fixture(scope="module")
def trained(shapes):  # noqa: F811
    """That store, with untrained students of a teacher, and one without."""
    store, *_ = shapes
    configs = [read({**STUDENT, "method": method}) for method in ("labels_only", "full_jacobian")]
    taught = store.submit_all([config.planned() for config in configs], "maps")
    alone = store.submit_all([read({**STUDENT, "teacher": None}).planned()], "no teacher")
    save(store, store.run(taught[0])["teacher"], read(TEACHER))
    for run in (*taught, *alone):
        save(store, run, read({**STUDENT, "seed": run}))
    return store


def said(made):
    return " ".join(caption.value for caption in made.caption).replace("\\", "")


@pytest.fixture
def asked(monkeypatch, page):  # noqa: F811
    """What the page asks the inspector, while it is drawn."""
    seen, answer = {}, engine.answer

    def kept(question, **arguments):
        seen[question] = arguments
        return answer(question, **arguments)

    monkeypatch.setattr(engine, "answer", kept)
    return seen


WITHOUT = {"maps": "On the object is left out: it is not known where the object is in Digits", "no teacher":
           "Agreement is left out: these students have no teacher to agree with"}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_drawn_and_what_cannot_be_is_left_out(page, section):  # noqa: F811
    for experiment, reason in WITHOUT.items():
        made = page("sensitivity", experiment, section=section, of_many="50 images", over="50 images")
        assert not made.exception and not made.error and not made.info
        picker, absent = made.button_group("section"), reason.partition(" is left out")[0]
        assert reason in picker.help and absent not in picker.options
        assert picker.value == (section if section in picker.options else "While it trained")


def test_what_was_looked_at_need_not_be_there_in_the_next_experiment(page):  # noqa: F811
    made = page("sensitivity", "marked", section="On the object", over="50 images")
    assert made.button_group("section").value == "On the object" and "Agreement" in made.button_group("section").help
    made.selectbox("experiment").set_value("maps").run()
    assert not made.exception and not made.error and made.button_group("section").value == "While it trained"


def test_noise_is_asked_for_and_told(page, asked):  # noqa: F811
    made = page("sensitivity", "maps", section="Mean of a class")
    assert made.selectbox("draws").disabled and asked["maps"]["noise"] == 0
    made.slider("noise").set_value(0.2).run()
    assert (asked["maps"]["noise"], asked["maps"]["draws"], asked["image"]["noise"]) == (0.2, 1, 0.2)
    assert "noise of standard deviation 0.2; maps, answers and numbers are of the noisy image" in said(made)
    made.selectbox("draws").set_value(10).run()
    assert asked["maps"]["draws"] == 10 and "are means over 10 noisy images" in said(made)
    assert not made.exception and "Means over 50 test images of class" in said(made)
    assert "Each image has noise of standard deviation 0.2, other noise than the next one and the same in all " in said(
        made) and "an image's maps are means over 10 draws of it." in said(made)


@pytest.mark.parametrize(("section", "question", "draws"), [
    ("While it trained", "timeline", 10), ("Mean of a class", "class_maps", 10), ("Agreement", "likeness", 10),
    ("On the object", "on_object", 1)])
def test_every_section_has_the_noise_and_its_code(page, asked, section, question, draws):  # noqa: F811
    made = page("sensitivity", "marked" if question == "on_object" else "maps", section=section, noise="0.1",
                draws=str(draws), of_many="50 images", over="50 images")
    assert not made.exception and (asked[question]["noise"], asked[question]["draws"]) == (0.1, draws)
    program = made.code[0].value
    assert program.count("noise=0.1") == program.count(f"draws={draws}") == 2 and f"inspect.{question}(" in program


def test_a_link_has_the_noise(page, asked):  # noqa: F811
    page("sensitivity", "maps", noise="0.15", draws="25", section="Mean of a class")
    assert (asked["maps"]["noise"], asked["maps"]["draws"]) == (0.15, 25)


def test_the_class_can_be_any(page, asked):  # noqa: F811
    made = page("sensitivity", "maps", section="Mean of a class", of_class="7")
    assert asked["class_maps"]["label"] == 7 and "test images of class 7" in said(made)
    made.selectbox("of_class").set_value("the image's class").run()
    assert asked["class_maps"]["label"] == engine.answer("image", **asked["image"])["label"]


@pytest.mark.parametrize(("measure", "key"), [("cosine", "cosine"), ("ranks", "ranks"), ("top", "top 0.05")])
def test_agreement_is_told_as_means(page, trained, asked, measure, key):  # noqa: F811
    made = page("sensitivity", "maps", section="Agreement", over="50 images", top="5 %", image="7")
    made.selectbox("measure").set_value(measure).run()
    assert made.selectbox("top").disabled == (measure != "top")
    many, one = (inspect.likeness(trained, **{**asked["likeness"], "indices": indices}) for indices in (some(500), [7]))
    for name, entry, here in zip(("Labels only", "Full Jacobian"), many, one):
        assert f"{name} {np.nanmean(entry[key]):.2f} ({here[key][0]:.2f})" in said(made)


def test_a_link_with_nonsense_opens(page):  # noqa: F811
    made = page("sensitivity", "maps", section="?", noise="much", draws="x", scale="-", absolute="2", top="%", over="0")
    assert not made.exception and not made.error and made.slider("noise").value == 0


def test_what_lies_on_the_object_is_told(page, trained):  # noqa: F811
    for experiment, place in (("marked", "object"), ("marked", "watermark"), ("plain", "object")):
        made = page("sensitivity", experiment, section="On the object", over="50 images", place=place.capitalize())
        assert not made.exception and not made.error
        told = re.search(rf"the {place} covers ([\d.]+)% .*there lies: .* ([\d.]+)% \(([\d.]+)%\)", said(made))
        run = trained.runs(experiment)[0]["id"]
        found, here = (inspect.on_object(trained, [(run, 0)], "full_jacobian", indices, rows="label")
                       for indices in (some(2000), [0]))
        assert told[1] == f"{100 * found['covers'][place].mean():.1f}"
        assert told[2] == f"{100 * found['entries'][0][place].mean():.1f}"
        assert told[3] == f"{100 * here['entries'][0][place][0]:.1f}"
        assert made.button_group("place").disabled == (experiment == "plain")


ENTRY = {"maps": np.random.default_rng(0).normal(size=(3, 2, 9, 11))}


def test_a_look_draws_signed_absolute_and_smoothed_values():
    assert np.array_equal(Look().values(ENTRY, [1]), ENTRY["maps"][1:2].mean(1))
    flat = Look(absolute=True).values(ENTRY, None)
    assert np.allclose(flat, (np.abs(ENTRY["maps"][:, 0]) + np.abs(ENTRY["maps"][:, 1])) / 2)
    assert np.array_equal(Look(absolute=True, smooth=True).values(ENTRY, None), smoothed(flat))


def test_a_scale_ends_at_the_largest_or_where_one_per_cent_lies_beyond():
    values = [np.arange(-100, 0), np.arange(101)]
    assert Look().end(values) == 100
    beyond = np.abs(np.concatenate(values)) > Look(scale=PERCENTILE).end(values)
    assert beyond.mean() == pytest.approx(0.01, abs=0.005)
    assert Look().end([np.zeros(3)]) == 1
    assert "99th percentile" in Look(scale=PERCENTILE).sentence(8) and "its own" not in Look().sentence(8)
    assert "compare patterns" in Look(scale=EACH).sentence(8) and "σ = 0.7" in Look(smooth=True).sentence(8)
