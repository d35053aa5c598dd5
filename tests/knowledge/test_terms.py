"""Every term against its replica, in values and in what it teaches the student's weights and the connectors'."""

from itertools import product
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from kdcore.data import Images
from kdcore.knowledge import NOTHING, TERMS, Bound, Pair, Term
from kdcore.knowledge.layers import LayerTerm
from kdcore.response import Response
from kdcore.teaching import answer
from tests.conftest import COUPLES, Couple, Given, made, paired, shaken
from tests.replicas import REPLICAS

VARIANTS = {
    "soft_targets": [{"temperature": 1.0}, {"temperature": 4.0}, {"temperature": 20.0}],
    "full_jacobian": [{}, {"projections": 2}],
    "targeted_double_backpropagation": [
        {"threshold": threshold, "outside": outside, "inside": inside, "reading": reading}
        for threshold, outside, inside, reading in [
            (0.5, 1, 0, "squared"), (0.2, 2, 1, "squared"), (0.5, 1, 0, "literal"), (0.9, 2, 1, "literal")]],
    "attention_maps": [{}, {"form": "squared"}, {"groups": "first"}, {"groups": "middle"}, {"groups": "last"},
                       {"groups": (("group2", "group1"),)}],
    "attention_jacobian": [{"groups": "last"}, *({"groups": "all", "window": window}
                                                 for window in ("full", "third", "seventh", "none"))],
    "flow_matrices": [{}, {"shuffled": True, "connectors": "always"}, {"connectors": "never", "groups": "last"}],
    "activation_boundary": [{}, {"margin": 0.3, "weights": "equal"}, {"connectors": "always", "groups": "last"}],
    "activation_values": [{}, {"power": 1.0}, {"power": 0.5, "connectors": "always", "groups": "first"}],
    "hint": [{}, {"form": "sum"}, {"groups": "middle", "connectors": "always", "batch_norm": True}],
    "second_head": [{"form": "plain"}, {"form": "centred"}],
    "map_information": [{}, {"groups": "last"}],
    "jacobian_match": [{"classes": "label"}, {"classes": "teacher"}, {"classes": "all"}],
    "jacobian_norm": [{"classes": classes, "form": form} for classes, form in product(
        ("label", "teacher", "all"), ("outputs", "probabilities"))],
    "cross_entropy_jacobian": [{}, {"noise": 0.3, "temperature": 3.0}],
    "noisy_outputs": [{}, {"noise": 0.5}],
}
VARIED = [(kind, variant) for kind in TERMS for variant in VARIANTS.get(kind, [{}])]
MAY_BE_NEGATIVE = {"map_information", "vector_information", "cross_entropy_jacobian"}


class Case(NamedTuple):
    """A term, two networks and a batch, and what the term has bound, all in float64 and evaluation mode."""

    term: Term
    couple: Couple
    bound: Bound

    @property
    def draws(self) -> Given | None:
        """One noise for every image, where a term needs any."""
        return None if self.term.keepable else Given(noise=torch.linspace(-1, 1, self.couple.images[0].numel(),
                                                                          dtype=torch.float64))

    def taught(self, images=None, labels=None):
        """What the teacher hands over, for the case's own images or for others."""
        mine = Images(self.couple.images, self.couple.labels) if images is None else Images(images, labels)
        return answer(self.term, self.couple.teacher, mine, self.bound, self.draws)

    def response(self, images=None, labels=None) -> Response:
        """The student's, as the trainer asks for it."""
        mine = self.couple[2:] if images is None else (images, labels)
        return Response(self.couple.student, *mine, draws=self.draws, taps=self.bound.student_taps,
                        differentiable=self.term.differentiates_input)

    def distances(self, images=None, labels=None) -> Tensor:
        """What the trainer computes: the teacher's answer without a graph, then each image's distance."""
        return self.term.distance(self.response(images, labels), self.taught(images, labels), self.bound)

    def literal(self) -> Tensor:
        """The same by the replica."""
        extra = [self.bound] if self.bound.layers else []
        if self.draws:
            extra = [self.draws.normal(*self.couple.images.shape)]
        return REPLICAS[self.term.kind](self.term, *self.couple, *extra)

    @property
    def learning(self) -> list[nn.Parameter]:
        """The student's parameters and the connectors'."""
        return [*self.couple.student.parameters(), *self.bound.parameters()]

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Of a loss by all that learns; zero where it has no part in it."""
        return torch.autograd.grad(loss, self.learning, allow_unused=True, materialize_grads=True)


def case_of(term: Term, couple: Couple, pair: Pair) -> Case:
    """Bound, with connectors of random weights and batch-norm statistics."""
    return Case(term, couple, shaken(term.bind(pair, seed=3), 4) if isinstance(term, LayerTerm) else NOTHING)


PAIRS = {name: paired(*made(name)) for name in ("wider", "fc-1x6x6", "conv-2x6x7", "equal", "sizes", "normed")}


def suited() -> dict[str, tuple]:
    """Each term's first variant on every couple that suits it, each other one on the first such couple, by name."""
    found = {}
    for kind, variant in VARIED:
        names = [name for name in PAIRS if not TERMS[kind](kind=kind, **variant).unsuited(PAIRS[name])]
        first = variant == VARIANTS.get(kind, [{}])[0]
        found |= {"-".join([kind, *map(str, variant.values()), name]): (kind, variant, name)
                  for name in (names if first else names[:1])}
    return found


SUITED = suited()


def named(name: str) -> Case:
    kind, variant, couple = SUITED[name]
    return case_of(TERMS[kind](kind=kind, **variant), made(couple), PAIRS[couple])


@pytest.fixture(params=SUITED, scope="module")
def case(request) -> Case:
    return named(request.param)


def test_every_term_has_a_replica():
    assert set(TERMS) == set(REPLICAS)


@pytest.mark.parametrize("kind", TERMS)
def test_every_hyper_parameter_is_varied(kind):
    varied = {name for variant in VARIANTS.get(kind, []) for name in variant}
    assert varied >= set(TERMS[kind].model_fields) - {"kind"}


@pytest.mark.parametrize("kind, variant", VARIED, ids=str)
def test_every_variant_is_tested_on_a_couple(kind, variant):
    assert (kind, variant) in [case[:2] for case in SUITED.values()]


@pytest.mark.parametrize("kind", TERMS)
def test_a_term_says_what_it_is(kind):
    term = TERMS[kind]
    assert term.sentence.endswith(".") and term.paper.split()[-1].isdigit() and term.formula and term.title
    assert TERMS[kind](kind=kind).model_dump()["kind"] == kind


@pytest.mark.parametrize("couple", COUPLES)
def test_the_small_networks_have_relus_on_and_off(couple):
    teacher, student, images, _ = made(couple)
    for network in (teacher, student):
        names = tuple(name for name in network.taps if name.endswith(".pre"))
        taps = Response(network, images, taps=names).taps
        for name in names:
            assert 0.1 < (taps[name] > 0).double().mean() < 0.9


def test_values_and_derivatives_equal_the_replica(case):
    ours, literal = case.distances(), case.literal()
    torch.testing.assert_close(ours, literal, rtol=1e-9, atol=1e-14)
    for a, b in zip(case.gradients(ours.mean()), case.gradients(literal.mean()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-13)


def test_derivatives_equal_finite_differences(case):
    generator = torch.Generator().manual_seed(7)
    ways = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in case.learning]
    slope = sum((g * way).sum() for g, way in zip(case.gradients(case.distances().mean()), ways, strict=True))

    def moved(length):
        with torch.no_grad():
            for weight, way in zip(case.learning, ways, strict=True):
                weight += length * way
        return float(case.distances().mean().detach())

    ahead, behind, _ = moved(1e-6), moved(-2e-6), moved(1e-6)
    assert (ahead - behind) / 2e-6 == pytest.approx(float(slope), rel=1e-5, abs=1e-8)


def test_the_teacher_is_not_taught(case):
    loss = case.distances().mean()
    found = torch.autograd.grad(loss, list(case.couple.teacher.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in found)


def test_zero_where_student_and_teacher_are_equal(case):
    """With nothing to learn between them."""
    same = case.couple._replace(student=case.couple.teacher)
    same = case_of(case.term, same, paired(*same))
    if not all(isinstance(module, nn.Identity) and layer.teacher == layer.student
               for layer, module in zip(same.bound.layers, same.bound.connectors, strict=True)):
        pytest.skip("a fresh connector stands between them")
    assert (same.distances().abs().max() < 1e-20) == case.term.zero_at_equality


def test_one_number_an_image_and_their_mean_is_the_loss(case):
    response, taught = case.response(), case.taught()
    paid = case.term.distance(response, taught, case.bound)
    assert paid.shape == (len(case.couple.images),)
    assert (paid >= 0).all() or case.term.kind in MAY_BE_NEGATIVE
    assert case.term.loss(response, taught, case.bound) == paid.mean()


def test_an_image_pays_the_same_in_every_batch(case):
    images, labels = case.couple[2:]
    alone = [case.distances(images[n : n + 1], labels[n : n + 1])[0] for n in range(len(images))]
    torch.testing.assert_close(torch.stack(alone), case.distances(), rtol=1e-10, atol=1e-16)


def test_size_does_not_depend_on_the_batch_size(case):
    images, labels = case.couple[2:]
    twice = case.distances(images.repeat(2, 1, 1, 1), labels.repeat(2))
    torch.testing.assert_close(twice.mean(), case.distances().mean(), rtol=1e-10, atol=1e-16)


def test_what_is_taught_is_keyed_by_the_batch(case):
    """Tensors whose first dimension is the batch, each row the same in any batch: they may be kept by index."""
    images, labels = case.couple[2:]
    whole, part = case.taught(), case.taught(images[2:], labels[2:])
    for name, value in whole.items():
        assert not value.requires_grad
        torch.testing.assert_close(value[2:], part[name], rtol=1e-10, atol=1e-16)


def test_needs_are_declared_truly(case):
    """What says that it needs no labels works without; what says that it needs no teacher ignores which it is."""
    images, labels = case.couple[2:]
    if not case.term.needs_labels:
        assert torch.equal(case.distances(images, None), case.distances())
    if not case.term.needs_teacher:
        other = case._replace(couple=case.couple._replace(teacher=case.couple.student))
        assert torch.equal(other.distances(images, labels), case.distances())


def test_a_picture_has_one_row_of_maps_an_image(case):
    """The same numbers inside `torch.no_grad()`, as a page draws them."""
    if not hasattr(case.term, "picture"):
        return
    picture = case.term.picture(case.response(), case.taught())
    assert picture.shape == (len(case.couple.images), picture.shape[1], *case.couple.images.shape[1:])
    assert case.term.picture_title
    with torch.no_grad():
        assert torch.equal(case.term.picture(case.response(), case.taught()), picture)


def test_the_distance_is_the_same_without_a_graph(case):
    with torch.no_grad():
        assert torch.equal(case.distances(), case.distances().detach())
    torch.testing.assert_close(case.distances().detach(), case.distances())


UNLABELLED = [name for name, (_, _, couple) in SUITED.items() if couple in ("fc-1x6x6", "wider")]


@pytest.mark.parametrize("name", UNLABELLED)
def test_unlabelled_images_leave_the_mean_of_what_needs_labels(name):
    """All others count in full."""
    case = named(name)
    images, labels = case.couple[2:]
    some = labels.clone()
    some[0] = -1
    loss, paid = case.term.loss(case.response(images, some), case.taught(images, some), case.bound), case.distances()
    torch.testing.assert_close(loss, paid[1:].mean() if case.term.needs_labels else paid.mean(), rtol=1e-10,
                               atol=1e-14)


@pytest.mark.parametrize("name", UNLABELLED)
def test_a_batch_without_any_label_is_no_trouble(name):
    case = named(name)
    images, labels = case.couple[2:]
    none = torch.full_like(labels, -1)
    loss = case.term.loss(case.response(images, none), case.taught(images, none), case.bound)
    gradients = case.gradients(loss)
    assert all(g.isfinite().all() for g in gradients)
    if case.term.needs_labels:
        assert loss == 0 and not any(g.any() for g in gradients)
