"""Weights that move, rates that fall, and the whole loss as one formula."""

import re
from itertools import product
from typing import Literal, get_args, get_origin

import pytest
import torch

from kdcore.config import parse
from kdcore.errors import UserError
from kdcore.knowledge import TERMS
from kdcore.methods import METHODS
from kdcore.objective import Method, Optimiser, Stage, WeightedTerm

LABELS = {"weight": 1.0, "term": {"kind": "cross_entropy"}}
SOFT = {"kind": "soft_targets"}
CROSS_ENTROPY, SOFT_TARGETS = (TERMS[kind].formula for kind in ("cross_entropy", "soft_targets"))


def method(*objectives, names=()):
    stages = [{"share": 1 / len(objectives), "objective": objective} for objective in objectives]
    for stage, name in zip(stages, names, strict=False):
        stage["name"] = name
    return parse(Method, {"stages": stages})


@pytest.mark.parametrize(("final", "expected"), [(None, [4, 4, 4]), (1.0, [4, 2.5, 1]), (0.0, [4, 2, 0])])
def test_a_weight_stays_or_moves_in_a_straight_line(final, expected):
    term = WeightedTerm(weight=4.0, final=final, term=SOFT)
    assert [term.factor(4.0, done) for done in (0, 0.5, 1)] == expected


def adam(weight, slopes, rate, decay):
    """Kingma & Ba 2015, algorithm 1, with the decay in the gradient."""
    mean = square = 0.0
    for t, slope in enumerate(slopes, start=1):
        g = slope(weight) + decay * weight
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        weight -= rate * (mean / (1 - 0.9**t)) / ((square / (1 - 0.999**t)) ** 0.5 + 1e-8)
    return weight


def sgd(weight, slopes, rate, decay, momentum, nesterov):
    """v ← μ v + g; w ← w − ε v, or with Nesterov w − ε (g + μ v) (Sutskever et al. 2013)."""
    velocity = 0.0
    for slope in slopes:
        g = slope(weight) + decay * weight
        velocity = momentum * velocity + g
        weight -= rate * (g + momentum * velocity if nesterov else velocity)
    return weight


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("settings", [{"kind": "adam"}, {"kind": "sgd", "momentum": 0.0}, {"kind": "sgd"},
                                      {"kind": "sgd", "momentum": 0.8, "nesterov": True}], ids=str)
def test_an_optimiser_follows_the_gradient_as_published(settings, decay):
    weight = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimiser = Optimiser(**settings, learning_rate=0.05, weight_decay=decay)
    slopes = [lambda w, at=at: 2 * (w - at) for at in (1.0, -1.0, 0.5, 0.7)]
    made = optimiser.build([weight])
    for slope in slopes:
        weight.grad = slope(weight.detach())
        made.step()
    expected = adam(2.0, slopes, 0.05, decay) if settings["kind"] == "adam" else sgd(
        2.0, slopes, 0.05, decay, optimiser.momentum, optimiser.nesterov)
    assert float(weight.detach()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("given", "sentence"), [
    ({"share": 1.0, "final": 0.5}, "A weight that moves to a final one must be given as a weight, not as a share."),
    ({"weight": 1.0, "share": 1.0}, "Give the term soft_targets either a weight or a share of the cross entropy."),
    ({"weight": 1.0, "final": -1.0}, "final must be at least 0, and not -1.0.")])
def test_a_weight_that_is_not_possible_is_a_sentence(given, sentence):
    with pytest.raises(UserError) as error:
        parse(WeightedTerm, {**given, "term": SOFT})
    assert str(error.value) == sentence


@pytest.mark.parametrize("falls", [[0.6, 0.3], [0.3, 0.3], [0.0], [1.0], [-0.5], [30, 60]], ids=str)
def test_falls_that_are_not_possible_are_a_sentence(falls):
    with pytest.raises(UserError) as error:
        parse(Optimiser, {"falls": falls})
    assert str(error.value) == ("The falls of a learning rate must be ascending shares of the steps between 0 and 1, "
                                "such as 0.3, 0.6, 0.8.")


def test_a_rate_falls_by_its_factor_at_each_share():
    optimiser = Optimiser(learning_rate=8.0, falls=(0.25, 0.5), fall=0.5)
    assert [optimiser.rate(done) for done in (0, 0.2, 0.25, 0.4, 0.5, 1)] == [8, 8, 4, 4, 2, 2]
    assert Optimiser(learning_rate=8.0).rate(1) == 8


def test_a_formula_of_one_stage_is_a_sum():
    assert method({"a": LABELS}).formula() == CROSS_ENTROPY
    assert method({"soft": {"weight": 0.9, "term": SOFT}, "labels": {**LABELS, "weight": 0.1}}).formula() == (
        rf"0.9 \cdot {SOFT_TARGETS} + 0.1 \left[ {CROSS_ENTROPY} \right]")


def test_a_formula_shows_what_a_weight_is():
    def shown(**counted):
        return method({"labels": LABELS, "soft": {**counted, "term": SOFT}}).formula().removeprefix(
            f"{CROSS_ENTROPY} + ").removesuffix(SOFT_TARGETS).strip()

    assert shown(weight=1.0) == "" and shown(weight=0.25) == r"0.25 \cdot" and shown(share=0.5) == r"\lambda \cdot"
    assert shown(weight=4.0, final=1.0) == r"(4 \to 1) \cdot" and shown(weight=1.0, final=0.0) == r"(1 \to 0) \cdot"


def test_a_negative_summand_stands_in_brackets():
    """But for the first: a plus before a minus reads badly."""
    assert method({"soft": {"weight": 1.0, "term": SOFT}, "labels": LABELS}).formula() == (
        rf"{SOFT_TARGETS} + \left[ {CROSS_ENTROPY} \right]")


def test_a_formula_of_several_stages_has_a_line_for_each():
    text = method({"soft": {"weight": 1.0, "term": SOFT}}, {"labels": LABELS}, names=("first", "then")).formula()
    assert text == (rf"\begin{{aligned}} &\text{{first: }}{SOFT_TARGETS} \\ &\text{{then: }}{CROSS_ENTROPY} "
                    r"\end{aligned}")


def test_many_terms_stand_below_each_other():
    objective = {kind: {"weight": 2.0, "term": {"kind": kind}} for kind in ("hint", "full_jacobian", "soft_targets")}
    lines = method(objective).formula().split(r"\\")
    assert len(lines) == 3 and all(line.strip().startswith(r"&\quad + 2 \cdot") for line in lines[1:])


@pytest.mark.parametrize("name", ["50 %", "a_b", r"\input{file}", "$x$", "#1 & {more} ~^", "Maße, dann Köpfe"])
def test_a_stages_name_cannot_break_the_formula(name):
    text = method({"a": LABELS}, {"a": LABELS}, names=(name, "task")).formula()
    shown, = re.findall(r"&\\text\{(.*?): \}", text)[:1]
    assert not re.search(r"[\\{}$&#%~^_]", shown) and text.count(r"\\") == 1
    assert [letter for letter in name if letter.isalnum()] == [letter for letter in shown if letter.isalnum()]


@pytest.mark.parametrize("name", METHODS)
def test_every_formula_is_well_formed(name):
    text = METHODS[name].formula()
    assert text.count("{") == text.count("}") and text.count(r"\left") == text.count(r"\right")
    assert text.count(r"\begin{") == text.count(r"\end{") and "+ -" not in text
    stages = len(METHODS[name].stages)
    assert text.count(r"\text{") >= (stages if stages > 1 else 0)


SHAPELESS = ("groups", "connectors", "batch_norm", "window")  # which layers and places a sum is over, not its form


@pytest.mark.parametrize("kind", TERMS)
def test_a_setting_that_changes_the_loss_changes_its_formula(kind):
    options = {name: get_args(field.annotation) if get_origin(field.annotation) is Literal else (False, True)
               for name, field in TERMS[kind].model_fields.items()
               if name not in ("kind", *SHAPELESS) and (get_origin(field.annotation) is Literal
                                                        or field.annotation is bool)}
    variants = [dict(zip(options, values)) for values in product(*options.values())]
    formulas = {TERMS[kind](**variant).formula for variant in variants}
    assert len(formulas) == len(variants)


def test_a_formula_has_projections_and_dropout():
    exact, one, two = (TERMS["full_jacobian"](projections=count).formula for count in (0, 1, 2))
    assert len({exact, one, two}) == 3 and r"\pm 1" in one and r"\frac{1}{2} \sum_{i=1}^{2}" in two
    assert METHODS["dropout"].formula() == rf"{CROSS_ENTROPY},\; \text{{dropout 0.25}}"


def test_the_training_of_a_method_is_told_in_words():
    assert METHODS["flow_ensemble"].schedule() == [
        "3 students that have the first stage in common.",
        "flow: 50% of the steps; SGD at 0.001, times 0.1 after 52%, 76% of it",
        "task: 50% of the steps; the falls of the learning rate counted anew"]
    assert METHODS["copy_ensemble"].schedule() == ["Starts from the teacher's weights.", "3 students."]
    assert METHODS["dropout"].schedule() == ["training: dropout 0.25"]
    assert METHODS["labels_only"].schedule() == []
    last = METHODS["boundary_last_then_soft_targets"]
    assert last.schedule() == ["initialisation: 17% of the steps", "task: 83% of the steps"]
    assert last.settings() == [
        "Activation boundaries: layers last, connectors where needed, margin 1, layer weights halved",
        "Soft targets: temperature 3"]
    assert METHODS["labels_only"].settings() == []
    assert METHODS["attention_jacobian_last_then_soft_targets"].settings() == [  # said once of its two stages
        "Attention maps: layers last, form paper", "Attention Jacobian: layers last, window fifth",
        "Soft targets: temperature 3"]


def test_a_stage_is_frozen_data():
    stage = Stage(objective={"a": LABELS})
    assert parse(Stage, stage.model_dump_json()) == stage and stage.optimiser is None and not stage.restarts
