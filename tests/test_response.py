"""Response: one network's lazy answer, computed once, with a graph where gradient mode is on."""

from functools import lru_cache, partial

import pytest
import torch
from torch._dynamo.utils import counters
from torch.nn import functional

from kdcore import levers
from kdcore import response as module
from kdcore.models import tapped
from kdcore.response import Response
from tests.conftest import WIDTHS, small

SHAPE = (2, 6, 7)
DERIVED = ("cost_gradient", "jacobian", "summed_jacobian")


@pytest.fixture(params=WIDTHS)
def network(request):
    return small(request.param, SHAPE, 3)


@pytest.fixture
def images():
    return torch.rand(3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def response(network, images, **wanted):
    return Response(network, images, torch.arange(3), **wanted)


@pytest.mark.parametrize("name", ("logits", "taps", *DERIVED))
def test_kept_once_computed(name, network, images):
    asked = response(network, images)
    assert getattr(asked, name) is getattr(asked, name)


def test_lazy(network, images):
    """Nothing is computed before it is asked for, and the network answers once for all that is asked."""
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    asked = response(network, images)
    assert not calls
    for name in DERIVED:
        getattr(asked, name)
    assert len(calls) == 1


@pytest.mark.parametrize("name", DERIVED)
def test_differentiable_where_gradient_mode_is_on(name, network, images):
    getattr(response(network, images), name).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for n, p in network.named_parameters() if "weight" in n)


@pytest.mark.parametrize("name", DERIVED)
def test_the_same_values_without_a_graph_under_no_grad(name, network, images):
    with torch.no_grad():
        values = getattr(response(network, images), name)
    assert not values.requires_grad
    assert torch.equal(values, getattr(response(network, images), name))


def test_logits_alone_need_no_graph(network, images):
    with torch.no_grad():
        assert not response(network, images, differentiable=False).logits.requires_grad
    assert response(network, images, differentiable=False).logits.requires_grad


def test_the_images_given_are_left_alone(network, images):
    before = images.clone()
    asked = response(network, images)
    asked.jacobian.square().sum().backward()
    assert not images.requires_grad and torch.equal(images, before) and asked.inputs.requires_grad


def test_taps_have_names_by_role(network, images):
    groups = sum(name.startswith("relu") for name, _ in network.named_children())
    roles = {f"group{k}{part}" for k in range(1, groups + 1) for part in ("", ".pre")}
    assert groups >= 1 and set(network.taps) == roles | {"embedding", "logits"}
    assert set(response(network, images, taps=tuple(network.taps)).taps) == set(network.taps)


def test_taps_hold_what_their_names_say(network, images):
    taps = response(network, images, taps=tuple(network.taps)).taps
    groups = [name for name in taps if name.startswith("group") and "." not in name]
    for group in groups:
        assert torch.equal(functional.relu(taps[f"{group}.pre"]), taps[group]) and (taps[f"{group}.pre"] < 0).any()
    assert torch.equal(taps["embedding"], taps[max(groups)])
    torch.testing.assert_close(taps["logits"], network(images))  # which sums in another order, see kdcore.by_rows
    assert taps["logits"].shape == (3, 3)


def test_tapping_changes_neither_answers_nor_derivatives(network, images):
    plain, tapping = response(network, images), response(network, images, taps=("group1.pre",))
    for name in ("logits", *DERIVED):
        assert torch.equal(getattr(plain, name), getattr(tapping, name))


def test_tapped_shares_the_networks_weights(network, images):
    extractor = tapped(network, ("group1.pre", "logits"))
    ours, theirs = set(map(id, network.parameters())), set(map(id, extractor.parameters()))
    assert theirs == ours
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    assert torch.equal(extractor(images)["logits"], network(images))


def test_only_the_wanted_taps_are_there(network, images):
    assert set(response(network, images).taps) == {"logits"}
    assert set(response(network, images, taps=("group1.pre",)).taps) == {"group1.pre", "logits"}


@pytest.mark.parametrize("backend", ("aot_eager", pytest.param("inductor", marks=pytest.mark.heavy)))
@pytest.mark.parametrize("taps", ((), ("group1.pre",)), ids=("outputs", "taps"))
def test_a_compiled_network_answers_and_learns_alike(taps, backend, network, images, monkeypatch):
    monkeypatch.setattr(module, "_compiled", lru_cache(partial(torch.compile, backend=backend)))
    counters.clear()
    found = []
    for on in (False, True):
        asked = response(network, images, taps=taps, differentiable=False)
        network.zero_grad()
        with levers.switched(compiled=on):
            functional.cross_entropy(asked.logits, asked.labels).backward()
        found.append([*asked.taps.values(), *(parameter.grad for parameter in network.parameters())])
        assert counters["stats"]["unique_graphs"] == on
    assert not counters["graph_break"]
    for eager, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, eager)


def test_what_is_differentiated_twice_is_not_compiled(network, images, monkeypatch):
    monkeypatch.setattr(module, "_compiled", None)
    with levers.switched(compiled=True):
        response(network, images).jacobian.square().sum().backward()
