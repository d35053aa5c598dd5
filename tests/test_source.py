"""The code beside each formula."""

import pytest

from kdcore.knowledge import TERMS, flow, outputs, sensitivity
from kdcore.source import source


@pytest.mark.parametrize("kind", TERMS)
def test_every_term_shows_the_function_of_its_loss_as_it_is(kind):
    code = source(TERMS[kind])
    compile(code, kind, "exec")
    assert code.startswith("def ") and "return" in code and "def unsuited" not in code and "def layers" not in code


@pytest.mark.parametrize(("kind", "functions"), [
    ("full_jacobian", [sensitivity.jacobian]), ("cost_gradient", [sensitivity.cost_gradient]),
    ("flow_matrices", [flow.fsp_matrix]), ("soft_targets", [outputs._soft_target_divergences])])
def test_what_a_loss_is_made_of_is_shown_with_it(kind, functions):
    code = source(TERMS[kind])
    for function in functions:
        assert f"def {function.__name__}(" in code and (function.__doc__ or "").split("\n")[0] in code
