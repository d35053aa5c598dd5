"""Every method on one small pair of each kind that it suits; where it does not suit, a sentence."""

import json
import re
from functools import cache

import pytest
import torch

from kdcore import models, probe
from kdcore import train as trainer
from kdcore.catalogue import suitability
from kdcore.config import RunConfig, read
from kdcore.errors import UserError
from kdcore.methods import METHODS
from kdcore.models import NetworkConfig
from kdcore.models.start import Published
from kdcore.train import Measurement, Snapshot, build, train

# kind of pair: (teacher's network, student's network)
PAIRS = {
    "fully connected": ({"name": "fc_teacher", "width": 0.05}, {"name": "fc_student", "width": 0.05}),
    "plain convolutional": ({"name": "conv_teacher", "width": 0.3}, {"name": "conv_student"}),
    "residual": ({"name": "residual14", "width": 0.25}, {"name": "residual8", "width": 0.25}),
    "wide residual": ({"name": "wrn_16_1", "width": 0.5}, {"name": "wrn_10_1", "width": 0.25}),
    "equal": ({"name": "wrn_10_1", "width": 0.25}, {"name": "wrn_10_1", "width": 0.25}),
    "vgg": ({"name": "vgg9", "width": 0.05, "resize": 16}, {"name": "vgg4", "width": 0.05, "resize": 16}),
    "mixed": ({"name": "wrn_10_1", "width": 0.25, "resize": 16}, {"name": "vgg9", "width": 0.05, "resize": 16}),
    "four groups": ({"name": "resnet18", "width": 0.1, "resize": 32},
                    {"name": "mobilenet", "width": 0.1, "resize": 32}),
    "residual to vgg": ({"name": "resnet18", "width": 0.1, "resize": 32},
                        {"name": "vgg9", "width": 0.05, "resize": 16}),
    "other classes": ({"name": "residual8", "width": 0.25, "classes": 12}, {"name": "residual8", "width": 0.25}),
    "published": ({"name": "residual8", "width": 0.25}, {"name": "resnet18", "resize": 32}),
}
DIGITS = {"data": {"name": "digits", "per_class": 1}, "batch_size": 10, "evaluations": 1, "device": "cpu"}


def configured(method, kind: str) -> dict:
    """Two steps for each stage of a method."""
    teacher, student = PAIRS[kind]
    stages = len(METHODS[method].stages)
    content = METHODS[method].model_dump(mode="json")
    for stage in content["stages"]:
        stage["share"] = 1 / stages
    return {**DIGITS, "network": student, "teacher": {**DIGITS, "network": teacher, "steps": 1}, "method": content,
            "steps": 2 * stages}


SUITED = {kind: suitability(configured("labels_only", kind))["methods"] for kind in PAIRS}
FIRST = {name: next(kind for kind in PAIRS if not SUITED[kind][name]) for name in METHODS}
LARGE = ("four groups", "residual to vgg", "published")  # the largest networks; the rest of their cases is heavy
CASES = [(name, kind) for name, method in METHODS.items() for kind in PAIRS if not SUITED[kind][name]
         and (kind == FIRST[name] or (not method.ablation and kind not in LARGE))]
HEAVY = [(name, kind) for name in METHODS for kind in PAIRS if not SUITED[kind][name] and (name, kind) not in CASES]


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """What is trained is looked at here, not how it is measured."""
    evaluate = trainer.evaluate
    monkeypatch.setattr(trainer, "evaluate", lambda network, images, part: evaluate(network, images[:10], part))
    monkeypatch.setattr(probe, "TERMS", {})
    monkeypatch.setattr(trainer, "SNAPSHOTS", 2)
    monkeypatch.setattr(Published, "read", lambda self, published: models.bare(
        NetworkConfig(name=published), (3, 32, 32), 1000).state_dict())


@pytest.mark.parametrize("name, kind", CASES)
def test_every_method_trains_every_kind_of_pair_that_it_suits(name, kind):
    assert_trains(name, kind)


@pytest.mark.heavy
@pytest.mark.parametrize("name, kind", HEAVY)
def test_every_variant_trains_every_kind_of_pair_that_it_suits(name, kind):
    assert_trains(name, kind)


@cache
@torch.no_grad()
def untrained(kind: str) -> torch.nn.Module:
    """A pair's teacher with fresh weights whose batch norm knows the images, as any trained one's does."""
    network = build(read(configured("labels_only", kind)).teacher).train()
    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(50):
        network(images)
    return network.eval()


def assert_trains(name: str, kind: str) -> None:
    config = read(configured(name, kind))
    assert read(json.loads(json.dumps(config.model_dump(mode="json")))) == config
    member = config.members()[0] if config.members() else config
    records = list(train(member, teacher=untrained(kind)))
    last = [record for record in records if isinstance(record, Measurement)][-1]
    first, *_, trained = [record.state for record in records if isinstance(record, Snapshot)]
    assert last.step == config.steps
    assert {f"term.{key}" for key in config.method.stages[-1].objective} < set(last.values)
    assert all(torch.tensor(list(last.values.values())).isfinite())
    assert any(not torch.equal(first[key], trained[key]) for key in first if key.endswith("weight"))
    if config.method.start == "teacher":
        assert all(torch.equal(first[key], value) for key, value in untrained(kind).state_dict().items())


@pytest.mark.parametrize("kind", PAIRS)
def test_a_method_that_does_not_suit_says_why(kind):
    """The catalogue's sentence is what the configuration is refused with."""
    for name, reason in SUITED[kind].items():
        if reason:
            assert reason.endswith(".") and reason[0].isupper()
            with pytest.raises(UserError) as refused:
                read(configured(name, kind))
            assert str(refused.value) == reason


def test_every_method_suits_some_pair_and_the_baseline_all():
    assert set(FIRST) == set(METHODS)
    assert not any(SUITED[kind]["labels_only"] for kind in PAIRS)


@pytest.mark.parametrize("kind, name, reason", [
    ("fully connected", "attention", "vectors, whose neurons have no place in the image"),
    ("plain convolutional", "flow_then_labels", "a section of the teacher has a single layer"),
    ("wide residual", "values_l2_then_soft_targets", "let a connector stand between them"),
    ("other classes", "soft_targets", "tells 12 classes apart and the student 10"),
    ("residual", "finetuned", "starts from published weights, and there are none"),
    ("residual", "copy_ensemble", "choose one network for teacher and student"),
    ("mixed", "attention_jacobian_depth4", "the teacher has no tap 'group4'")])
def test_the_reasons_are_the_right_ones(kind, name, reason):
    assert reason in SUITED[kind][name]


def test_what_another_task_can_hand_over():
    """A teacher of other classes has no outputs to match, but layers, and a second head."""
    suited = SUITED["other classes"]
    for name in ("second_head", "centred_second_head", "vector_map_information", "hint", "flow_then_other_labels",
                 "boundary_centred_second_head", "second_head_attention_both", "hint_then_labels"):
        assert suited[name] is None


def test_the_layers_of_a_pair_are_shown_with_their_pairing():
    found = suitability(configured("labels_only", "mixed"))
    assert found["layers"] == [("group1", "group1"), ("group2", "group2"), ("group3", "group3")]
    assert found["taps"]["student"]["group4.pooled"] == (26, 1, 1)
    assert suitability(configured("labels_only", "fully connected"))["layers"] == [("group3", "group1")]


@pytest.mark.parametrize("number, sides", enumerate([(56, 56), (28, 28), (14, 14), (7, 7)], start=1))
def test_the_depth_pairs_of_srinivas_and_fleuret_are_reached(number, sides):
    """ResNet-34's layers 7, 15, 27 and 33 with VGG-9's 2, 4, 6 and 8: the ends of their groups, at the smaller size."""
    run = {**DIGITS, "network": {"name": "vgg9", "resize": 224},
           "teacher": {**DIGITS, "network": {"name": "resnet34", "resize": 224, "classes": 1000}}}
    method = METHODS[f"attention_jacobian_depth{number}"]
    layer, = method.stages[0].objective["attention_jacobian"].term.layers(read(run).pair())
    assert (layer.teacher, layer.student) == (f"group{number}",) * 2 and layer.size == sides
    assert read(run).pair().layers()[number - 1] == layer  # which are those that other methods match by default


def test_a_second_head_is_one_linear_layer_on_the_embedding():
    """VGG-9 with two heads, ImageNet's 1000 classes beside its own (Srinivas & Fleuret 2018, Sec. 6.3)."""
    run = {**DIGITS, "network": {"name": "vgg9", "resize": 32},
           "teacher": {**DIGITS, "network": {"name": "residual8", "classes": 1000}}}
    head = METHODS["second_head"].stages[0].objective["second_head"].term.bind(read(run).pair())
    assert sum(parameter.numel() for parameter in head.parameters()) == 512 * 1000 + 1000


def test_no_two_methods_are_the_same_and_each_says_what_it_hands_over():
    titles, sentences = [{getattr(method, part) for method in METHODS.values()} for part in ("title", "sentence")]
    assert len(titles) == len(METHODS) and all(sentence.endswith(".") for sentence in sentences)
    assert not any(re.search(r"\b(first|middle|last|every) group.*\b(first|middle|last|every) group", sentence)
                   for sentence in sentences)
    trained = {RunConfig(**configured(name, FIRST[name])).hash(): name for name in METHODS}
    assert len(trained) == len(METHODS)


MASKS = {f"M ∈ {{{mask}}}, p = {p}" for mask in ("0,1", "1,2") for p in (0.2, 0.5, 0.7, 0.9)}
TRANSFERS = {"FITNET", "FSP", "AT", "Jacobian", "Proposed"}
LAYERS = ("layer 1", "layer 2", "layer 3", "multi-layer")
AHN_TRANSFERS = {"FitNet", "AT", "MI-I", "LwF + FitNet", "MI-L + MI-I"}
ROWS = {  # as printed; "VGG-9" marks those of its other layers
    "Ehmann & Samek": {
        1: {"only labels", "cost", "full Jacobian", "summed Jacobian"},
        2: {"only labels", "cost", "full Jacobian"},
        3: {"M=1", "cost diff", "cost diff + M=1", *MASKS}},
    "Ahn et al.": {
        1: {"Teacher", "Student", "KD", "FitNet", "AT", "MI", "KD + AT", "KD + MI"},
        2: {"Student", "Finetuned", "LwF", "MI-L", *AHN_TRANSFERS, *(f"{row}, VGG-9" for row in AHN_TRANSFERS)}},
    "Srinivas & Fleuret": {
        1: {"Cross-Entropy training", "CE + match activations", "CE + match Jacobians",
            "CE + match {activations + Jacobians}", "Match activations only", "Match {activations + Jacobians}"},
        2: {"λ = 0", "λ = 0.1", "λ = 1", "λ = 10", "ℓ2 regularization", "Dropout"},
        3: {"untrained student", "pre-trained student (Oracle)", "CE + match activations",
            "CE + match {activations + Jacobians}", "CE + match {activations + attention}",
            "CE + match {activations + attention + Jacobians}"},
        4: {"(7, 2)", "(15, 4)", "(27, 6)", "(33, 8)"},
        5: {"Full", "s/3", "s/5", "s/7", "None"}},
    "Heo et al.": {
        **dict.fromkeys((1, 2), {"Cross-Entropy", "KD training", *(f"{row} + KD" for row in TRANSFERS)}),
        3: {"KD", *TRANSFERS},
        **dict.fromkeys((4, 5), {"ImageNet pre-trained network", "randomly initialized",
                                 "DTL on randomly initialized network", *(f"{row} + DTL" for row in TRANSFERS)}),
        6: {"KD", *(f"{row} + KD, {layer}" for row in TRANSFERS for layer in LAYERS)},
        7: {"l_2 loss", "l_1 loss", "l_0.5 loss", "Proposed"},
        8: {"0.75", "1", "1.5", "2", "4"}},
    "Yim et al.": {
        1: {"Teacher", "Teacher *", "Teacher ‡", "1 loss FitNet *", "3 loss FitNet *", "Student *", "Student *†"},
        2: {"Teacher", "Teacher *", "FitNet *", "Student *"},
        **dict.fromkeys((3, 4), {"Teacher-original", "Student-original", "FitNet", "Proposed Method"}),
        5: {"Teacher - fine tuning", "Teacher - training from scratch", "Student - training from scratch", "FITNET",
            "Proposed Method"}},
}


def test_every_row_of_every_table_has_one_method():
    claimed = []
    for method in METHODS.values():
        paper = re.sub(r" \d{4}$", "", method.paper)
        for row in method.rows:
            named, tables, title = re.fullmatch(r"(?:(.+?) )?Table ([\d, ]+): (.+)", row).groups()
            paper = named or paper  # a row of another paper says so, and those after it are of the same
            claimed += [(paper, int(table), title) for table in tables.split(", ")]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) == {(paper, table, row) for paper, tables in ROWS.items() for table, rows in tables.items()
                            for row in rows}


@pytest.mark.parametrize("name, first, then", [
    ("flow_then_labels", 21, 64), ("long_flow_then_labels", 32, 64), ("flow_ensemble", 21, 21),
    ("shuffled_flow_ensemble", 21, 21), ("long_flow_ensemble", 32, 21), ("hint_then_falling_soft_targets", 35, 64),
    ("hint_ensemble_middle", 35, 21), ("hint_ensemble_all", 35, 21)])
def test_the_stages_of_yim_have_the_steps_that_the_paper_prints(name, first, then):
    """In thousands; the tables' column #Iter counts them, three students with a shared or an own first stage."""
    stages = METHODS[name].stages
    assert stages[0].share == pytest.approx(first / (first + then))
    falls = {21: (11, 16), 32: (16, 24), 35: (25,)}[first]
    assert stages[0].optimiser.falls == pytest.approx([fall / first for fall in falls])


@pytest.mark.parametrize("name", ["flow_then_labels", "hint_then_labels", "flow_then_other_labels"])
def test_a_first_stage_with_a_small_learning_rate_of_its_own_learns(name):
    """Yim et al. print 1e-3 and 1e-4: a term that is a mean instead of a sum would not move."""
    content = configured(name, "residual")
    for stage, share in zip(content["method"]["stages"], (0.9, 0.1)):
        stage["share"] = share
    content["teacher"] |= {"steps": 50, "optimiser": {"learning_rate": 3e-3}}
    config = read({**content, "data": {"name": "digits", "images": 100}, "steps": 100, "evaluations": 10,
                   "batch_size": 32, "optimiser": {"kind": "sgd", "learning_rate": 0.1}})
    term, = content["method"]["stages"][0]["objective"]
    records = [record.values for record in train(config) if isinstance(record, Measurement)]
    values = [record[f"term.{term}"] for record in records if f"term.{term}" in record]
    assert values[-1] < 0.95 * values[0]
