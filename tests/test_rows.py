"""What each method trains, written down a second time from the papers' texts.

Weights that no paper prints stand by their names in kdcore/methods.py; all other numbers are the papers', or those of
the authors' code.
"""

import re
from fractions import Fraction

import pytest

from kdcore import methods
from kdcore.knowledge import TERMS
from kdcore.methods import METHODS
from kdcore.objective import Optimiser

KD = "soft_targets(temperature=3)"
SOFT = "0.9 soft_targets + 0.1 cross_entropy"
LWF = "cross_entropy + LOGITS second_head"
DTL = "cross_entropy + 10 second_head(form=centred)"
FALLING = "cross_entropy + 0.444444 to 0.111111 soft_targets(temperature=3), restarts"  # 4 to 1, over T² = 9
FSP = "FLOW_SLOW flow_matrices, sgd 0.001 falls 11/21 16/21"
LONG_FSP = "FLOW_SLOW flow_matrices, sgd 0.001 falls 1/2 3/4"  # 16k and 24k of 32k
TRAINED = {
    "labels_only": "cross_entropy",
    # Ehmann & Samek: λ = 0.1, and 1e7 on gradients of the mean of 50 images
    "cost_gradient": "cross_entropy + 4000 cost_gradient",
    "full_jacobian": "cross_entropy + 0.1 full_jacobian",
    "projected_jacobian": "cross_entropy + 0.1 full_jacobian(projections=1)",
    "summed_jacobian": "cross_entropy + 0.1 summed_jacobian",
    "double_backpropagation": "cross_entropy + 4000 double_backpropagation",
    "cost_gradient_double_backpropagation":
        "cross_entropy + 4000 cost_gradient + 4000 double_backpropagation",
    **{name + suffix: f"cross_entropy + 4000 targeted_double_backpropagation({threshold}{mask})"
       for suffix, threshold in (("_p2", "threshold=0.2"), ("", ""), ("_p7", "threshold=0.7"), ("_p9", "threshold=0.9"))
       for name, mask in (("targeted_double_backpropagation", ""),
                          ("graded_double_backpropagation", ", outside=2, inside=1"))},
    # Ahn et al.: beside the labels, KD by 0.9 and T = 4
    "soft_targets": SOFT,
    "hint": "cross_entropy + HINT hint",
    "attention": "cross_entropy + ATTENTION attention_maps",
    "map_information": "cross_entropy + MAPS map_information",
    "vector_information": "cross_entropy + VECTOR vector_information",
    "vector_map_information": "cross_entropy + VECTOR vector_information + MAPS map_information",
    "soft_targets_attention": f"{SOFT} + ATTENTION attention_maps",
    "soft_targets_map_information": f"{SOFT} + MAPS map_information",
    "finetuned": "cross_entropy, from published",
    "second_head": LWF,
    "second_head_hint": f"{LWF} + HINT hint",
    # Srinivas & Fleuret
    "match_logits": "cross_entropy + LOGITS logit_error",
    "match_jacobians": "cross_entropy + JACOBIAN jacobian_match",
    "match_logits_jacobians": "cross_entropy + LOGITS logit_error + JACOBIAN jacobian_match",
    "logits_alone": "LOGITS logit_error",
    "logits_jacobians_alone": "LOGITS logit_error + JACOBIAN jacobian_match(classes=teacher)",
    "noisy_outputs": "cross_entropy + LOGITS noisy_outputs",
    "cross_entropy_jacobian": "cross_entropy + cross_entropy_jacobian",
    "jacobian_norm_weak": "cross_entropy + 0.00625 jacobian_norm",  # λ/16: images from 0 to 1
    "jacobian_norm": "cross_entropy + 0.0625 jacobian_norm",
    "jacobian_norm_strong": "cross_entropy + 0.625 jacobian_norm",
    "jacobian_norm_probabilities": "cross_entropy + 0.0625 jacobian_norm(form=probabilities)",
    "weight_decay": "cross_entropy + 0.001 weight_decay",
    "dropout": "cross_entropy, dropout 0.25",
    "second_head_attention": f"{LWF} + ATTENTION attention_maps",
    "second_head_attention_jacobian": f"{LWF} + ATTENTION_JACOBIAN attention_jacobian",
    "second_head_attention_both": f"{LWF} + ATTENTION attention_maps + ATTENTION_JACOBIAN attention_jacobian",
    "attention_jacobian": "cross_entropy + ATTENTION_JACOBIAN attention_jacobian",
    **{f"attention_jacobian_{window}": f"cross_entropy + ATTENTION_JACOBIAN attention_jacobian(window={window})"
       for window in ("full", "third", "seventh", "none")},
    # Heo et al.: 20 + 100 epochs; AT and Jacobian stay beside KD; FitNet at the last layer, with batch norm
    "soft_targets_alone": KD,
    "hint_then_soft_targets": f"1/6: HINT hint(groups=last, batch_norm=True) | 5/6: {KD}",
    "hint_all_then_soft_targets": f"1/6: HINT hint(batch_norm=True) | 5/6: {KD}",
    "flow_then_soft_targets": f"1/6: FLOW flow_matrices | 5/6: {KD}",
    "attention_then_soft_targets": f"1/6: ATTENTION attention_maps | 5/6: {KD} + ATTENTION attention_maps",
    "attention_jacobian_then_soft_targets":
        "1/6: ATTENTION attention_maps + ATTENTION_JACOBIAN attention_jacobian | "
        f"5/6: {KD} + ATTENTION attention_maps + ATTENTION_JACOBIAN attention_jacobian",
    "boundary_then_soft_targets": f"1/6: 0.003 activation_boundary | 5/6: {KD}",
    "boundary_unconnected_then_soft_targets": f"1/6: 0.003 activation_boundary(connectors=never) | 5/6: {KD}",
    **{f"boundary_margin{name}_then_soft_targets": f"1/6: 0.003 activation_boundary(margin={margin}) | 5/6: {KD}"
       for name, margin in (("075", "0.75"), ("15", "1.5"), ("2", "2"), ("4", "4"))},
    "values_l2_then_soft_targets": f"1/6: VALUES activation_values(connectors=never) | 5/6: {KD}",
    "values_l1_then_soft_targets": f"1/6: VALUES activation_values(connectors=never, power=1) | 5/6: {KD}",
    "values_l05_then_soft_targets": f"1/6: VALUES_ROOTS activation_values(connectors=never, power=0.5) | 5/6: {KD}",
    # Heo et al., transfer: 60 + 40 epochs; AT and Jacobian in one stage
    "centred_second_head": DTL,
    "hint_centred_second_head": f"3/5: HINT hint(groups=last, batch_norm=True) | 2/5: {DTL}",
    "flow_centred_second_head": f"3/5: FLOW flow_matrices | 2/5: {DTL}",
    "attention_centred_second_head": f"{DTL} + ATTENTION attention_maps",
    "attention_jacobian_centred_second_head":
        f"{DTL} + ATTENTION attention_maps + ATTENTION_JACOBIAN attention_jacobian",
    "boundary_centred_second_head": f"3/5: 0.003 activation_boundary | 2/5: {DTL}",
    # Yim et al.: 21k + 64k steps, 32k + 64k on CIFAR-100, 35k + 64k for FitNet; ensembles with 21k for the task
    "flow_then_labels": f"21/85: {FSP} | 64/85: cross_entropy, restarts",
    "long_flow_then_labels": f"1/3: {LONG_FSP} | 2/3: cross_entropy, restarts",
    "hint_then_falling_soft_targets":
        f"35/99: HINT_SUM hint(groups=middle, form=sum), sgd 0.0001 falls 5/7 | 64/99: {FALLING}",
    "flow_ensemble": f"1/2: {FSP} | 1/2: cross_entropy, restarts; 3 students that share 1",
    "long_flow_ensemble": f"32/53: {LONG_FSP} | 21/53: cross_entropy, restarts; 3 students that share 1",
    "shuffled_flow_ensemble": "1/2: FLOW_SLOW flow_matrices(shuffled=True), sgd 0.001 falls 11/21 16/21 | "
                              "1/2: cross_entropy, restarts; 3 students that share 0",
    "labels_ensemble": "cross_entropy; 3 students that share 0",
    "copy_ensemble": "cross_entropy, from teacher; 3 students that share 0",
    **{f"hint_ensemble_{name}": f"5/8: HINT_SUM hint({groups}form=sum), sgd 0.0001 falls 5/7 | 3/8: {FALLING}; "
                                "3 students that share 1"
       for name, groups in (("middle", "groups=middle, "), ("all", ""))},
    # Yim et al., transfer: 21k + 30k steps, both at 0.1; FitNet 35k + 30k
    "flow_then_other_labels":
        "7/17: FLOW flow_matrices, sgd 0.1 falls 11/21 16/21 | 10/17: cross_entropy, restarts",
    "hint_then_labels":
        "7/13: HINT_SUM hint(groups=middle, form=sum), sgd 0.0001 falls 5/7 | 6/13: cross_entropy, restarts",
}
DEFAULTS = {
    "soft_targets": {"temperature": 4}, "targeted_double_backpropagation": {
        "threshold": 0.5, "outside": 1, "inside": 0, "reading": "squared"},
    "full_jacobian": {"projections": 0}, "second_head": {"form": "plain"}, "jacobian_match": {"classes": "label"},
    "jacobian_norm": {"classes": "label", "form": "outputs"}, "attention_maps": {"groups": "all", "form": "paper"},
    "attention_jacobian": {"groups": "all", "window": "fifth"}, "flow_matrices": {
        "groups": "all", "shuffled": False, "connectors": "where needed"},
    "activation_boundary": {"groups": "all", "margin": 1, "weights": "halved", "connectors": "where needed"},
    "activation_values": {"groups": "all", "power": 2, "connectors": "where needed"},
    "hint": {"groups": "all", "connectors": "where needed", "batch_norm": False, "form": "mean"},
    "map_information": {"groups": "all"}, "noisy_outputs": {"noise": 0.1},
    "cross_entropy_jacobian": {"noise": 0.01, "temperature": 1}}
ROLES = {"attention_maps": "", "attention_jacobian": "", "hint": "", "map_information": "", "flow_matrices": "",
         "activation_boundary": ".pre", "activation_values": ".pre"}


def spelled(method) -> str:
    """A method in the words of the table above; settings that are their term's own defaults are left out."""
    text = " | ".join((f"{_part(stage.share)}: " if len(method.stages) > 1 else "") + _stage(stage)
                      for stage in method.stages)
    text += f", from {method.start}" if method.start != "network" else ""
    return text + (f"; {method.members} students that share {method.shared_stages}" if method.members > 1 else "")


def _stage(stage) -> str:
    text = " + ".join(map(_weighted, stage.objective.values()))
    text += f", dropout {stage.dropout:g}" if stage.dropout else ""
    if stage.optimiser:
        falls = " ".join(map(_part, stage.optimiser.falls))
        text += f", {stage.optimiser.kind} {stage.optimiser.learning_rate:g} falls {falls}"
    return text + (", restarts" if stage.restarts else "")


def _weighted(weighted) -> str:
    term = weighted.term
    changed = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
               for name, value in term if name != "kind" and value != getattr(type(term)(), name)]
    weight = "" if weighted.weight == 1 else f"{weighted.weight:g} "
    weight = weight if weighted.final is None else f"{weighted.weight:g} to {weighted.final:g} "
    return weight + term.kind + (f"({', '.join(changed)})" if changed else "")


def _part(share: float) -> str:
    return str(Fraction(share).limit_denominator(99))


def numbered(text: str) -> str:
    """The table's text with the weights of kdcore/methods.py for their names."""
    for name in ("ATTENTION_JACOBIAN", "ATTENTION", "HINT_SUM", "HINT", "MAPS", "VECTOR", "FLOW_SLOW", "FLOW",
                 "VALUES_ROOTS", "VALUES", "LOGITS", "JACOBIAN"):
        value = getattr(methods, name)
        text = text.replace(f"{name} ", "" if value == 1 else f"{value:g} ")
    return text.replace("(, ", "(").replace("()", "")


# variant: (the method that it varies, the layers that it names)
LAYERS = {f"{name}_{layer}_then_soft_targets": (f"{name}{'_all' * (name == 'hint')}_then_soft_targets", layer)
          for name in ("hint", "flow", "attention", "attention_jacobian", "boundary")
          for layer in ("first", "middle", "last") if (name, layer) != ("hint", "last")}
LAYERS |= {f"attention_jacobian_depth{n}": ("attention_jacobian", ((f"group{n}", f"group{n}"),)) for n in (1, 2, 3, 4)}
LAYERS |= {f"{name}_pooled": (name, tuple((f"group{n}", f"group{n}.pooled") for n in (1, 2, 3, 4))) for name in (
    "hint", "attention", "map_information", "second_head_hint", "vector_map_information")}


def test_every_method_is_written_down_here():
    assert set(METHODS) == {*TRAINED, *LAYERS}


@pytest.mark.parametrize("name", TRAINED)
def test_a_method_is_what_its_paper_prints(name):
    assert spelled(METHODS[name]) == numbered(TRAINED[name])


@pytest.mark.parametrize("name", LAYERS)
def test_with_other_layers_all_else_is_as_it_was(name):
    """Heo et al., Table 6; Srinivas & Fleuret, Table 4; Ahn et al., Table 2 with VGG-9."""
    varied, layers = LAYERS[name]
    with_layers = spelled(METHODS[name])
    assert with_layers.count(f"groups={layers}") == sum(
        "groups" in type(weighted.term).model_fields
        for stage in METHODS[varied].stages for weighted in stage.objective.values())
    assert with_layers.replace(f"(groups={layers})", "").replace(f"groups={layers}, ", "") == spelled(METHODS[varied])


@pytest.mark.parametrize("kind", TERMS)
def test_the_settings_of_a_term_are_the_papers(kind):
    term = TERMS[kind]()
    assert {name: value for name, value in term if name != "kind"} == DEFAULTS.get(kind, {})


@pytest.mark.parametrize("kind", ROLES)
def test_a_term_reads_the_layers_of_its_paper(kind):
    """Boundaries and values before the activation function, all else after it."""
    assert TERMS[kind].role == ROLES[kind]


def test_optimisers_are_those_that_the_papers_print():
    heo = {"kind": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    yim = {"kind": "sgd", "momentum": 0.9, "learning_rate": 0.1, "weight_decay": 1e-4}
    printed = {
        "Ehmann & Samek 2018": Optimiser(kind="adam", learning_rate=1e-4),
        "Heo et al. 2019, CIFAR-10": Optimiser(**heo, learning_rate=0.1, falls=(0.3, 0.6, 0.8), fall=0.2),
        "Heo et al. 2019, transfer": Optimiser(**heo, learning_rate=0.01, falls=(0.5,), fall=0.1),
        "Yim et al. 2017": Optimiser(**yim, falls=(0.5, 0.75), fall=0.1),
        "Yim et al. 2017, fast": Optimiser(**yim, falls=(11 / 21, 16 / 21), fall=0.1),
        "Yim et al. 2017, transfer": Optimiser(**yim, falls=(1 / 3, 2 / 3), fall=0.1)}
    assert printed == methods.OPTIMISERS
    first = METHODS["flow_then_labels"].stages[0].optimiser
    assert (first.momentum, first.nesterov, first.weight_decay, first.fall) == (0.9, False, 1e-4, 0.1)


def test_a_method_names_the_optimiser_of_its_paper():
    named = {name: method.optimiser.split("; ") for name, method in METHODS.items()}
    assert {name for names in named.values() for name in names} == {"", *methods.OPTIMISERS}
    for method, names in named.items():
        paper = " ".join([METHODS[method].paper, *METHODS[method].rows])
        assert all(name.split(" ")[0] in paper for name in names)


def numbers(equations):
    found = {str(number) for first, last in re.findall(r"(\d+) to (\d+)", equations)
             for number in range(int(first), int(last) + 1)}
    return found | set(re.findall(r"\d+", equations))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_names_an_equation_of_each_term_that_its_paper_has_one_for(name):
    method = METHODS[name]
    for term in (weighted.term for stage in method.stages for weighted in stage.objective.values()):
        if term.paper == method.paper and term.equation and term.kind != "cross_entropy":
            assert numbers(term.equation) & numbers(method.equations), term.kind


def test_every_weight_says_where_it_comes_from():
    assert set(methods.WEIGHTS) == set(TERMS) - {"cross_entropy"}
