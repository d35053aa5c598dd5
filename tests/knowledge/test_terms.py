"""Every term against its replica, in values and in what it teaches the student's weights."""

import pytest
import torch

from kdcore.data import Images
from kdcore.knowledge import TERMS
from kdcore.response import Response
from kdcore.teaching import answer, intermediate
from tests.conftest import couple
from tests.replicas import REPLICAS

VARIANTS = {
    "soft_targets": [{"temperature": 1.0}, {"temperature": 4.0}, {"temperature": 20.0}],
    "full_jacobian": [{}, {"projections": 2}],
    "targeted_double_backpropagation": [
        {"threshold": threshold, "outside": outside, "inside": inside, "reading": reading}
        for threshold, outside, inside, reading in [
            (0.5, 1, 0, "squared"), (0.2, 2, 1, "squared"), (0.5, 1, 0, "literal"), (0.9, 2, 1, "literal")]],
}
CASES = [(kind, variant) for kind in TERMS for variant in VARIANTS.get(kind, [{}])]


def named(case) -> str:
    return "-".join([case[0], *map(str, case[1].values())])


@pytest.fixture(params=CASES, ids=named)
def term(request):
    kind, variant = request.param
    return TERMS[kind](kind=kind, **variant)


def distances(term, teacher, student, images, labels, draws=None):
    """What the trainer computes: the teacher's answer without a graph, then each image's distance."""
    taught = answer(term, teacher, Images(images, labels), draws)
    response = Response(student, images, labels, draws=draws, taps=intermediate(term),
                        differentiable=term.differentiates_input)
    return term.distance(response, taught)


def gradients(loss, network):
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(network.parameters(), found, strict=True)]


def test_every_term_has_a_replica():
    assert set(TERMS) == set(REPLICAS)


@pytest.mark.parametrize("kind", TERMS)
def test_every_hyper_parameter_is_varied(kind):
    varied = {name for variant in VARIANTS.get(kind, []) for name in variant}
    assert varied >= set(TERMS[kind].model_fields) - {"kind"}


@pytest.mark.parametrize("kind", TERMS)
def test_a_term_says_what_it_is(kind):
    term = TERMS[kind]
    assert term.sentence.endswith(".") and term.paper.split()[-1].isdigit() and term.formula and term.title
    assert TERMS[kind](kind=kind).model_dump()["kind"] == kind


def test_the_small_networks_have_relus_on_and_off(pair):
    for network in (pair.teacher, pair.student):
        names = tuple(name for name in network.taps if name.endswith(".pre"))
        for values in Response(network, pair.images, taps=names).taps.values():
            assert 0.1 < (values > 0).double().mean() < 0.9


def test_values_and_derivatives_equal_the_replica(term, pair):
    ours, literal = distances(term, *pair), REPLICAS[term.kind](term, *pair)
    torch.testing.assert_close(ours, literal, rtol=1e-9, atol=1e-14)
    for a, b in zip(gradients(ours.mean(), pair.student), gradients(literal.mean(), pair.student), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("family", ["fc", "conv"])
def test_derivatives_equal_finite_differences(term, family):
    teacher, student, images, labels = couple(family, (1, 6, 6))
    generator = torch.Generator().manual_seed(7)
    weights = list(student.parameters())
    ways = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]
    slope = sum((g * way).sum() for g, way in
                zip(gradients(distances(term, teacher, student, images, labels).mean(), student), ways, strict=True))

    def moved(length):
        with torch.no_grad():
            for weight, way in zip(weights, ways, strict=True):
                weight += length * way
        return float(distances(term, teacher, student, images, labels).mean().detach())

    ahead, behind = moved(1e-6), moved(-2e-6)
    assert (ahead - behind) / 2e-6 == pytest.approx(float(slope), rel=1e-5, abs=1e-8)


def test_the_teacher_is_not_taught(term, pair):
    loss = distances(term, *pair).mean()
    found = torch.autograd.grad(loss, list(pair.teacher.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in found)


def test_zero_where_student_and_teacher_are_equal(term, pair):
    paid = distances(term, pair.teacher, pair.teacher, pair.images, pair.labels)
    assert (paid.abs().max() < 1e-20) == term.zero_at_equality


def test_one_number_an_image_and_their_mean_is_the_loss(term, pair):
    taught = answer(term, pair.teacher, Images(pair.images, pair.labels))
    response = Response(pair.student, pair.images, pair.labels)
    paid = term.distance(response, taught)
    assert paid.shape == (len(pair.images),) and (paid >= 0).all()
    assert term.loss(response, taught) == paid.mean()


def test_an_image_pays_the_same_in_every_batch(term, pair):
    teacher, student, images, labels = pair
    together = distances(term, *pair)
    for n in range(len(images)):
        alone = distances(term, teacher, student, images[n : n + 1], labels[n : n + 1])
        torch.testing.assert_close(alone[0], together[n], rtol=1e-10, atol=1e-16)


def test_size_does_not_depend_on_the_batch_size(term, pair):
    teacher, student, images, labels = pair
    twice = distances(term, teacher, student, images.repeat(2, 1, 1, 1), labels.repeat(2))
    torch.testing.assert_close(twice.mean(), distances(term, *pair).mean(), rtol=1e-10, atol=1e-16)


def test_what_is_taught_is_keyed_by_the_batch(term, pair):
    """Tensors whose first dimension is the batch, each row the same in any batch: they may be kept by index."""
    teacher, _, images, labels = pair
    whole = answer(term, teacher, Images(images, labels))
    part = answer(term, teacher, Images(images[2:], labels[2:]))
    for name, value in whole.items():
        assert not value.requires_grad
        torch.testing.assert_close(value[2:], part[name], rtol=1e-10, atol=1e-16)


def test_needs_are_declared_truly(term, pair):
    """What says that it needs no labels works without; what says that it needs no teacher ignores which it is."""
    teacher, student, images, labels = pair
    if not term.needs_labels:
        assert torch.equal(distances(term, teacher, student, images, None), distances(term, *pair))
    if not term.needs_teacher:
        assert torch.equal(distances(term, student, student, images, labels), distances(term, *pair))


def test_a_picture_has_one_row_of_maps_an_image(term, pair):
    if not hasattr(term, "picture"):
        return
    taught = answer(term, pair.teacher, Images(pair.images, pair.labels))
    picture = term.picture(Response(pair.student, pair.images, pair.labels), taught)
    assert picture.shape == (len(pair.images), picture.shape[1], *pair.images.shape[1:])
    assert term.picture_title
