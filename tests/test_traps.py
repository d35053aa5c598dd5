"""What other implementations fell into, one test each."""

import copy

import pytest
import torch
from torch import nn

from kdcore import models
from kdcore import train as trainer
from kdcore.config import read
from kdcore.data import Images
from kdcore.errors import UserError
from kdcore.knowledge import NOTHING, TERMS, Bound
from kdcore.knowledge.attention import attention_error, attention_gradient, attention_map
from kdcore.knowledge.layers import LayerTerm
from kdcore.randomness import Draws
from kdcore.response import Response
from kdcore.teaching import Lessons, answer
from kdcore.train import Measurement, ResumePoint, Snapshot, train
from tests.conftest import Sections, made, paired, shaken

ROLES = ("group1.first", "group1", "group1.pre", "group2.first", "group2", "group2.pre", "embedding")
BASE = {"data": {"name": "digits", "images": 20}, "steps": 4, "batch_size": 5, "evaluations": 1, "device": "cpu"}


def run(**terms):
    """A student of a teacher, both with batch norm, that minimises these terms."""
    objective = {name: {"weight": 1.0, **term} for name, term in terms.items()}
    return read({**BASE, "network": {"name": "test_student"},
                 "teacher": {**BASE, "network": {"name": "test_teacher"}, "seed": 1},
                 "method": {"stages": [{"objective": objective}]}})


def of(kind, records):
    return [record for record in records if isinstance(record, kind)]


EVERYTHING = {kind: {"weight": 0.01, "term": {"kind": kind}} for kind in TERMS}


def test_a_learnt_variance_is_a_parameter_that_learns_and_is_kept(normed, monkeypatch):
    """The optimiser sees it; the resume point and the snapshots hold it."""
    monkeypatch.setattr(trainer, "RESUME_SECONDS", -1.0)
    config = run(information={"term": {"kind": "map_information"}})
    records = list(train(config, teacher=trainer.build(config.teacher)))
    points = [of(ResumePoint, records)[0].state["connectors"], of(Snapshot, records)[-1].connectors]
    early, late = ([point["information"][f"connectors.{i}.raw"] for i in (0, 1)] for point in points)
    assert [len(raw) for raw in early] == [5, 6]
    assert all((a != b).all() for a, b in zip(early, late, strict=True))


def test_the_teacher_is_in_evaluation_mode_and_its_statistics_stay(normed):
    """Even where it was handed over in training mode; every term asks it."""
    config = run(**EVERYTHING)
    teacher = trainer.build(config.teacher).train()
    before = copy.deepcopy(teacher.state_dict())
    training = trainer.Training(config, teacher, None)
    list(training.records())
    assert not any(module.training for module in training.teacher.modules())
    for network in (teacher, training.teacher):
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in training.teacher.parameters())


@pytest.mark.parametrize("inplace", [False, True])
def test_values_before_the_activation_are_before_it(inplace, monkeypatch):
    """Activations that work in place would overwrite them: `register` switches them to the other way."""
    monkeypatch.setattr(models.architectures, "ARCHITECTURES", {})
    taps = Sections(2, (3, 4)).taps
    models.register("mine", lambda shape, classes, width: Sections(shape[0], (3, 4), inplace=inplace), taps)
    network = shaken(models.architectures.ARCHITECTURES["mine"].build((2, 6, 7), 3, 1.0), 11)
    images = made("equal").images
    taps = Response(network, images, taps=ROLES).taps
    for group in ("group1", "group2"):
        assert (taps[f"{group}.pre"] < 0).any() and torch.equal(taps[f"{group}.pre"].relu(), taps[group])


class Overwriting(nn.Module):
    """Its activation function works in place, one of several ways; where `wayward`, it cannot be traced."""

    def __init__(self, how, wayward=False):
        super().__init__()
        self.conv, self.module, self.how, self.wayward = nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), how, wayward
        nn.init.zeros_(self.conv.bias)
        self.taps = {"group1.pre": "conv", "logits": ""}

    def forward(self, images):
        features = self.conv(images)
        if self.wayward and images.sum() < 0:
            return features
        ways = {"function": lambda: nn.functional.relu(features, inplace=True), "method": features.relu_,
                "module": lambda: self.module(features), "copy": features.relu}
        return ways[self.how]().mean((2, 3))


@pytest.mark.parametrize("wayward", [False, True])
@pytest.mark.parametrize("how", ["function", "method", "module"])
def test_a_value_that_is_overwritten_in_place_is_a_sentence(how, wayward):
    """However the module came here: a teacher that is handed to `train` does not pass through `register`."""
    images = torch.randn(2, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    read = {name: Response(Overwriting(name, wayward), images, taps=("group1.pre",)) for name in (how, "copy")}
    with pytest.raises(UserError, match="'group1.pre' is overwritten in place by what comes after it"):
        print(read[how].taps)
    assert read["copy"].taps["group1.pre"].min() < 0


def test_a_layer_runs_once_a_response():
    """So batch-norm statistics are updated once, for many taps, for derivatives, and for outputs under noise."""
    network, (_, _, images, labels) = Sections(2, (3, 4), norm=True).double().train(), made("equal")
    once, calls = copy.deepcopy(network), []
    once(images)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in norms:
        module.register_forward_hook(lambda module, *_: calls.append(module.track_running_stats))
    response = Response(network, images, labels, taps=ROLES, draws=Draws(0, 1, torch.device("cpu")))
    asked = (response.noisy(0.1), response.taps, response.cost_gradient, response.jacobian, response.noisy(0.2))
    assert len(asked) == 5
    for name, value in network.state_dict().items():
        assert torch.equal(value, once.state_dict()[name]), name
    assert all(module.track_running_stats for module in norms)
    assert calls.count(True) == 4 and calls.count(False) == 8


@pytest.mark.parametrize("weighing", ["weight", "share"])
def test_a_step_updates_batch_norm_once(weighing, normed):
    """The student's and the connectors'; finding λ from a share is no step."""
    terms = {kind: {"weight": None, weighing: 0.01, "term": {"kind": kind}}
             for kind in ("noisy_outputs", "hint", "activation_boundary", "attention_jacobian", "cost_gradient")}
    config = run(labels={"term": {"kind": "cross_entropy"}}, **terms)
    last = of(Snapshot, train(config, teacher=trainer.build(config.teacher)))[-1]
    counts = [value for state in (last.state, *last.connectors.values()) for name, value in state.items()
              if name.endswith("num_batches_tracked")]
    assert len(counts) == 4 + 2 and {int(count) for count in counts} == {BASE["steps"]}


@pytest.mark.parametrize("kind", sorted(kind for kind in TERMS if TERMS[kind]().needs_teacher))
def test_kept_answers_are_keyed_by_image(kind):
    """In any order, in a batch of any size, each image meets what the teacher says of it alone."""
    teacher, student, _, _ = made("wider")
    images = Images(torch.rand(120, 2, 6, 7, dtype=torch.float64), torch.randint(3, (120,)))
    term = TERMS[kind]()
    bound = term.bind(paired(teacher, student, images.pixels)).double()
    lessons, draws = Lessons({"it": term}, {"it": bound}, teacher, images), Draws(0, 0, torch.device("cpu"))
    for index in (torch.tensor([119, 3, 50, 0]), torch.tensor([49]), torch.tensor([77, 77])):
        batch = images[index]
        kept, fresh = lessons(index, batch, draws)["it"], answer(term, teacher, batch, bound, draws)
        assert kept.keys() == fresh.keys()
        for name, value in kept.items():
            torch.testing.assert_close(value, fresh[name])


def test_answers_to_changing_images_are_not_kept():
    teacher, _, pixels, labels = made("wider")
    images, index, draws = Images(pixels, labels), torch.arange(3), Draws(0, 0, torch.device("cpu"))
    changed = Images(1 - pixels, labels)
    said = [Lessons({"it": TERMS["logit_error"]()}, {"it": Bound()}, teacher, images, keep=keep)(
        index, changed, draws)["it"]["logits"] for keep in (True, False)]
    torch.testing.assert_close(said[0], teacher(pixels).detach())
    torch.testing.assert_close(said[1], teacher(1 - pixels).detach())


def test_gradients_are_each_images_own_and_no_batch_means():
    """The strength of a term on gradients does not depend on the batch size."""
    teacher, student, images, labels = made("conv-1x6x6")
    term = TERMS["cost_gradient"]()

    def loss(count):
        batch = Images(images[:1].repeat(count, 1, 1, 1), labels[:1].repeat(count))
        return term.loss(Response(student, batch.pixels, batch.labels), answer(term, teacher, batch))

    torch.testing.assert_close(loss(8), loss(1))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_root_of_a_difference_of_zero_has_a_finite_derivative(power):
    """Where two inactive neurons meet, and where two active ones agree."""
    term = TERMS["activation_values"](power=power)
    ours = torch.tensor([[-1.0, -0.0, 0.0, 2.0, -3.0]], requires_grad=True)
    paid = term.error(ours, term.handed(torch.tensor([[-2.0, -1.0, 0.0, 2.0, 1.0]])))
    paid.sum().backward()
    assert ours.grad.isfinite().all() and not ours.grad[:, [0, 3]].any()
    assert paid.item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_attention_map_of_zeros_has_no_direction(dtype):
    zeros, others = torch.zeros(2, 3, 4, 4, dtype=dtype, requires_grad=True), torch.rand(2, 3, 4, 4, dtype=dtype)
    assert not attention_map(zeros).any()
    for form in ("paper", "squared"):
        for teacher in (others, zeros.detach()):
            error = attention_error(zeros, teacher, form)
            slope, = torch.autograd.grad(error, zeros)
            assert error.isfinite() and slope.isfinite().all()


@pytest.mark.parametrize("dead", ["group1", "group2"])
def test_an_attention_gradient_of_zeros_has_no_direction(dead):
    """In float32, where an infinity in one layer would be a NaN in the next; the whole distance is then 1."""
    teacher, student, images, labels = made("equal")
    for network in (teacher, student):
        network.float()
    with torch.no_grad():
        student.get_submodule(f"conv{dead[-1]}last").bias.fill_(-1e4)
        for module in student.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(5)
    term, batch = TERMS["attention_jacobian"](groups=((dead, dead),)), Images(images.float(), labels)
    bound = term.bind(paired(teacher, student, batch.pixels))
    response = Response(student, batch.pixels, labels, taps=bound.student_taps)
    gradient, _ = attention_gradient(response.taps[dead], response.inputs, None)
    assert not gradient.any()
    loss = term.loss(response, answer(term, teacher, batch, bound), bound)
    slopes = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True, materialize_grads=True)
    assert float(loss.detach()) == pytest.approx(1) and all(slope.isfinite().all() for slope in slopes)


def test_a_student_is_measured_as_its_labels_only_baseline_is(normed):
    """The same budget, the same images in the same order, the same measurements of the same knowledge."""
    taught = run(hint={"term": {"kind": "hint"}}, labels={"term": {"kind": "cross_entropy"}})
    baseline = read({**taught.model_dump(), "method": "labels_only"})
    teacher = trainer.build(taught.teacher)
    ours, theirs = (trainer.Training(config, teacher, None) for config in (taught, baseline))
    for training in (ours, theirs):
        list(training.enter(next(training.stages())))
    for ours.step in range(8):
        theirs.step = ours.step
        assert torch.equal(ours._batch(), theirs._batch())
    first, second = (of(Measurement, train(config, teacher=teacher)) for config in (taught, baseline))
    assert [r.step for r in first] == [r.step for r in second]
    assert {n for n in first[-1].values if not n.startswith("term.")} == {
        n for n in second[-1].values if not n.startswith("term.")}


@pytest.mark.parametrize("kind", ["hint", *(kind for kind, cls in TERMS.items() if cls().differentiates_input)])
def test_double_backpropagation_passes_through_batch_norm_in_training_mode(kind):
    """Against finite differences: the batch's statistics depend on the images and on the weights too."""
    teacher, student, images, labels = made("normed")
    term = TERMS[kind]()
    bound = NOTHING
    if isinstance(term, LayerTerm):
        bound = shaken(term.bind(paired(teacher, student, images)), 4).train()
    taught = answer(term, teacher, Images(images, labels), bound)
    learning = [*student.train().parameters(), *bound.parameters()]
    ways = [torch.randn(w.shape, dtype=w.dtype, generator=torch.Generator().manual_seed(7)) for w in learning]

    def loss():
        return term.loss(Response(student, images, labels, taps=bound.student_taps), taught, bound)

    def moved(length):
        with torch.no_grad():
            for weight, way in zip(learning, ways, strict=True):
                weight += length * way
        return float(loss().detach())

    found = torch.autograd.grad(loss(), learning, allow_unused=True, materialize_grads=True)
    slope = sum(float((g * way).sum()) for g, way in zip(found, ways, strict=True))
    ahead, behind, _ = moved(1e-6), moved(-2e-6), moved(1e-6)
    assert (ahead - behind) / 2e-6 == pytest.approx(slope, rel=1e-4, abs=1e-7)
