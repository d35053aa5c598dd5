"""What the browser side asks before anything is trained: plain data, sentences for what is not possible."""

import json
from dataclasses import replace

import pytest

from kdcore.catalogue import catalogue, described, formula, image_set, suitability
from kdcore.data import DataConfig, source
from kdcore.data.sources import SOURCES
from kdcore.errors import UserError
from kdcore.knowledge import TERMS
from kdcore.methods import METHODS
from kdcore.source import source as source_of
from tests.data.made import class_folders, write


def run(network, teacher=None, **changes):
    digits = {"data": {"name": "digits"}}
    return {**digits, "network": network, "teacher": {**digits, "network": teacher} if teacher else None, **changes}


SMALL = {"name": "fc_student", "width": 0.05}
CONVOLUTIONAL = {"name": "residual8", "width": 0.25}


def test_what_suits_a_pair_is_plain_data():
    found = suitability(run(SMALL, {**SMALL, "name": "fc_teacher"}))
    assert json.loads(json.dumps(found)).keys() == {"methods", "terms", "taps", "layers"}
    assert set(found["methods"]) == set(METHODS) and set(found["terms"]) == set(TERMS)
    assert found["terms"]["soft_targets"] is None and found["methods"]["full_jacobian"] is None
    assert found["terms"]["attention_maps"] == found["methods"]["attention"]
    assert found["terms"]["attention_maps"].startswith("Attention maps cannot be matched: ")
    assert found["taps"]["student"] == {"group1": (50,), "group1.pre": (50,), "embedding": (50,), "logits": (10,)}


def test_without_a_teacher_what_needs_one_says_so():
    found = suitability(run(SMALL))
    assert found["taps"]["teacher"] == {} and found["layers"] == []
    for kind, reason in found["terms"].items():
        assert (reason is not None) == TERMS[kind]().needs_teacher
        assert reason is None or "it needs a teacher, and this run has none; choose one." in reason


def test_what_is_no_part_of_a_pair_does_not_count():
    """A form that is half filled in asks too."""
    asked = run(SMALL, CONVOLUTIONAL, steps=-5, method="no such method")
    assert suitability(asked) == suitability(run(SMALL, CONVOLUTIONAL))


def test_a_run_that_is_not_possible_at_all_is_a_sentence():
    with pytest.raises(UserError, match="There is no network 'resnet'"):
        suitability(run({"name": "resnet"}))
    with pytest.raises(UserError, match="images of at least 32×32"):
        suitability(run({"name": "resnet18"}))


def test_a_terms_formula_is_that_of_its_settings():
    assert formula({"kind": "hint", "form": "sum"}) == TERMS["hint"](form="sum").formula != TERMS["hint"]().formula
    with pytest.raises(UserError, match="temperature"):
        formula({"kind": "soft_targets", "temperature": -1})


COPY = "Ensemble: copies of the teacher copies the teacher's weights; choose one network for teacher and student"


@pytest.mark.parametrize(("student", "teacher"), [
    (run(SMALL), None), (run(SMALL), run(CONVOLUTIONAL)), (run(SMALL), run({**SMALL, "classes": 12})),
    (run(SMALL), {"data": {"name": "mnist"}, "network": SMALL})], ids=["none", "another", "classes", "images"])
def test_weights_are_copied_between_networks_of_one_shape_alone(student, teacher):
    reason = suitability({**student, "teacher": teacher})["methods"]["copy_ensemble"]
    assert reason.startswith(COPY) and reason.endswith(".")
    assert suitability({**student, "teacher": run(SMALL)})["methods"]["copy_ensemble"] is None


def test_a_method_is_checked_and_written_as_a_formula():
    content = METHODS["soft_targets"].model_dump(mode="json")
    told = described(content)
    assert told["method"] == content and {**told.pop("method"), **told} == catalogue()["methods"]["soft_targets"]
    least = described({"stages": [{"objective": {"a": {"weight": 1, "term": {"kind": "cross_entropy"}}}}]})["method"]
    assert (least["name"], least["title"], least["members"]) == ("custom", "Custom", 1)
    assert json.loads(json.dumps(described(least))) == described(least)


STAGE = {"objective": {"a": {"weight": 1, "term": {"kind": "cross_entropy"}}}}


@pytest.mark.parametrize(("content", "sentence"), [
    ({"stages": []}, "'stages' must not be empty|stages must not be empty"),
    ({"title": "x" * 81, "stages": [STAGE]}, "title = "),
    ({"stages": [{**STAGE, "share": 0.5}]}, "must add up to 1"),
    ({"stages": [STAGE], "member": 3}, "did you mean 'members'"),
    ([], "must be an object with named fields"), ("text", "not JSON")], ids=str)
def test_a_method_that_is_not_possible_is_a_sentence(content, sentence):
    with pytest.raises(UserError, match=sentence):
        described(content)


def test_every_image_set_is_described():
    for name, known in SOURCES.items():
        told = json.loads(json.dumps(image_set(known)))
        assert told["title"] == known.title and told["fetched"] in ("here", "download", "by hand"), name
        assert told["sentence"].endswith(".") and told["suggested"] and told["left_out"] == {}
        assert (told["whence"] != "") == bool(known.origin)
    assert image_set(SOURCES["digits"])["fetched"] == "here" and image_set(SOURCES["mnist"])["fetched"] == "download"
    assert image_set(SOURCES["shapes"])["marked"] and not image_set(SOURCES["digits"])["marked"]
    assert image_set(replace(SOURCES["digits"], marked=True))["marked"]


def test_a_folder_of_ones_own_is_described(tmp_path):
    config = DataConfig(name="folder", path=str(write(tmp_path / "set", class_folders())), size=8)
    told = json.loads(json.dumps(image_set(source(config))))
    assert (told["title"], told["fetched"], told["shape"], told["classes"]) == ("set", "own", [3, 8, 8], ["cat", "dog"])
    assert told["sized"] and not told["marked"] and told["train"] + told["test"] == 20


def test_each_method_says_which_pairs_it_suits():
    told = {name: method["suits"] for name, method in catalogue()["methods"].items()}
    assert all(sentence.endswith(".") for sentence in told.values())
    assert told["labels_only"] == "Any network; no teacher is needed."
    assert "no teacher is needed" not in told["soft_targets"] + told["copy_ensemble"]
    assert "the teacher's network" in told["copy_ensemble"] and "ResNet-18" in told["finetuned"]
    assert "that have the layers it names" in told["attention_jacobian_depth4"]
    assert told["attention"].startswith("Any two convolutional networks") and "whatever classes" in told["attention"]
    assert "several layers in each section" in told["flow_then_labels"] and "one width" in told[
        "values_l2_then_soft_targets"]


def test_what_can_be_drawn_and_what_it_takes_to_draw_forms_is_told_of_every_term():
    told = catalogue()
    assert told["layers"] == {kind: cls.title for kind, cls in TERMS.items() if hasattr(cls, "compared")}
    assert {"hint", "attention_maps", "flow_matrices", "second_head"} <= told["layers"].keys()
    assert told["maps"].keys() == {kind for kind, cls in TERMS.items() if hasattr(cls, "picture")}
    for kind, cls in TERMS.items():
        assert told["terms"][kind]["source"] == source_of(cls) and "def " in source_of(cls)
        assert told["terms"][kind]["zero_at_equality"] == cls().zero_at_equality
    assert not any(told["terms"][kind]["zero_at_equality"] for kind in ("vector_information", "second_head"))


def test_the_catalogue_is_small_enough_to_be_read_in_a_moment():
    assert len(json.dumps(catalogue()).encode()) < 400_000
