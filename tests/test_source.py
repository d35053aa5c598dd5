"""The code beside each formula."""

import inspect
from textwrap import dedent

import pytest

from kdcore import derivatives
from kdcore.knowledge import (
    TERMS,
    activation,
    attention,
    flow,
    heads,
    information,
    jacobians,
    layers,
    outputs,
    regularisers,
    sensitivity,
)
from kdcore.source import source

CONNECTED = [layers.LayerTerm.teach, layers.pooled, layers.connector, layers.linear, layers.LayerTerm.offered]
MADE_OF = {  # of each term, what its formula says
    "cross_entropy": [outputs.CrossEntropy.distance],
    "soft_targets": [outputs.SoftTargets.teach, outputs._soft_target_divergences],
    "logit_error": [outputs.LogitError.teach, outputs.logit_errors],
    "weight_decay": [regularisers.WeightDecay.distance],
    "cost_gradient": [sensitivity._MapMatching.teach, derivatives.cost_gradient, derivatives.derivative],
    "summed_jacobian": [sensitivity.SummedJacobian.map, derivatives.summed_jacobian],
    "full_jacobian": [sensitivity.FullJacobian.teach, sensitivity.FullJacobian._vectors, derivatives.jacobian,
                      derivatives.projected_jacobian],
    "double_backpropagation": [sensitivity.DoubleBackpropagation.picture, derivatives.cost_gradient],
    "targeted_double_backpropagation": [sensitivity.target_mask, derivatives.cost_gradient],
    "jacobian_match": [jacobians.JacobianMatch.teach, jacobians._ChosenOutputs.rows, derivatives.class_gradient],
    "jacobian_norm": [jacobians._ChosenOutputs.choice, jacobians._ChosenOutputs.rows],
    "cross_entropy_jacobian": [jacobians.CrossEntropyJacobian.teach, jacobians.CrossEntropyJacobian._logarithms],
    "noisy_outputs": [jacobians.NoisyOutputs.teach, outputs.logit_errors],
    "hint": [*CONNECTED, activation.Hint.connector, activation.Hint.error],
    "activation_values": [*CONNECTED, activation.ActivationValues.handed, activation.ActivationValues.error],
    "activation_boundary": [*CONNECTED, activation.ActivationBoundary.handed, activation._boundary_errors,
                            activation.ActivationBoundary.layer_weights],
    "map_information": [information.MapInformation.connector, information.Gaussian, information.deviation],
    "vector_information": [information.VectorInformation.connector, information.Gaussian, layers.linear],
    "second_head": [heads.SecondHead.connector, layers.linear, heads._centred],
    "attention_maps": [attention.AttentionMaps.teach, attention._energy, attention._unit, attention._errors],
    "attention_jacobian": [attention.AttentionJacobian.teach, attention._gradient, attention._energy, attention._unit],
    "flow_matrices": [flow.FlowMatrices.bind, flow.FlowMatrices.teach, flow.fsp_matrix, flow._errors]}


@pytest.mark.parametrize("kind", TERMS)
def test_every_term_shows_all_that_its_formula_says_once(kind):
    code = source(TERMS[kind])
    compile(code, kind, "exec")
    for part in MADE_OF[kind]:
        assert code.count(dedent(inspect.getsource(part)).strip()) == 1, part.__qualname__


@pytest.mark.parametrize("kind", TERMS)
def test_what_the_teacher_hands_over_comes_first_and_what_all_terms_share_is_left_out(kind):
    code = source(TERMS[kind])
    assert code.startswith("def teach(") and "return" in code
    shared = [layers.LayerTerm.bind, layers.LayerTerm.paid, layers.LayerTerm.layer_weights, layers.LayerTerm.handed]
    assert not any(dedent(inspect.getsource(part)).strip() in code for part in shared)
    assert "def unsuited" not in code and "def layers" not in code and "class Bound" not in code
    definitions = [line for line in code.splitlines() if line.startswith(("def ", "class "))]
    assert len(definitions) == len(set(definitions))
