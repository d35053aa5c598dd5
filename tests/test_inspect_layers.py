"""What is drawn of each layer is what the loss is made of, through connectors that are the run's own or are fitted."""

import copy
import math

import numpy as np
import pytest
import torch

from kdcore import data, inspect, snapshots, worker
from kdcore.config import read
from kdcore.inspect.layers import _order
from kdcore.knowledge import TERMS
from kdcore.knowledge.layers import LayerTerm
from kdcore.probe import parts
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer, union

DIGITS = {"name": "digits", "per_class": 2}
TEACHER = {"data": {"name": "digits"}, "network": {"name": "wrn_10_1", "width": 0.5}, "steps": 20, "evaluations": 1,
           "device": "cpu"}
STUDENT = {"data": DIGITS, "network": {"name": "wrn_10_1", "width": 0.25}, "teacher": TEACHER, "steps": 12,
           "evaluations": 1, "device": "cpu"}
HINT = {"stages": [{"objective": {"labels": {"weight": 1, "term": {"kind": "cross_entropy"}},
                                  "mine": {"weight": 1, "term": {"kind": "hint", "batch_norm": True}}}}]}
KINDS = [kind for kind, cls in TERMS.items() if issubclass(cls, LayerTerm) and not TERMS[kind]().unsuited(
    read(STUDENT).pair())]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(store, teacher, the student of labels alone, the one with connectors)."""
    store = Store(tmp_path_factory.mktemp("trained"))
    alone, taught = (store.submit(read({**STUDENT, "method": method}).planned()) for method in ("labels_only", HINT))
    while row := store.queue.claim(99):
        worker.execute(store, row)
    return store, store.run(alone)["teacher"], alone, taught


def shown(trained, kind, run, indices, **settings):
    store, teacher, *_ = trained
    entry, = inspect.layers(store, [(run, None)], kind, indices, (teacher, None), settings=settings)
    assert entry["reason"] == ""
    return entry


def test_every_layer_term_is_looked_at():
    assert {"attention_maps", "attention_jacobian", "flow_matrices", "activation_boundary", "hint", "map_information",
            "vector_information", "activation_values"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("indices", [[3], [0, 7, 41]], ids=str)
def test_what_is_paid_at_the_layers_is_the_term(trained, kind, indices):
    """With the same connectors, literally put together here."""
    store, teacher, alone, _ = trained
    entry, term = shown(trained, kind, alone, indices), TERMS[kind]()
    config = read(store.run(alone)["config"])
    student, theirs = (copy.deepcopy(snapshots.network(store, run)) for run in (alone, teacher))
    images = data.images(config.data, "test", index=torch.tensor(indices))[:]
    bound = term.bind(config.pair()).eval()
    if entry["connected"] == "fitted":
        others = parts(data.of_run(config, "test"), 10)[1]
        with torch.no_grad():
            bound = term.fitted(*(Response(network, others.pixels, taps=union([taps]), differentiable=False)
                                  for network, taps in ((student, bound.student_taps), (theirs, bound.teacher_taps))),
                                bound).eval()
    taught = answer(term, theirs, images, bound)
    response = Response(student, images.pixels, images.labels, taps=union([bound.student_taps]))
    weights = term.layer_weights(len(entry["layers"]))
    paid = sum(weight * layer["paid"] for weight, layer in zip(weights, entry["layers"]))
    assert paid == pytest.approx(float(term.loss(response, taught, bound).detach()), rel=1e-4)


def test_the_arrays_are_those_of_the_paper(trained):
    """Attention at unit length in the shape of its layer, FSP matrices, and which neurons are on."""
    *_, alone, _ = trained
    for layer in shown(trained, "attention_maps", alone, [3])["layers"]:
        for who in ("theirs", "ours"):
            assert layer[who].ndim == 2 and np.linalg.norm(layer[who]) == pytest.approx(1, rel=1e-5)
        assert np.linalg.norm(layer["theirs"] - layer["ours"]) == pytest.approx(layer["paid"], rel=1e-4)
    for layer in shown(trained, "flow_matrices", alone, [3])["layers"]:
        assert layer["theirs"].shape == layer["ours"].shape
        assert ((layer["theirs"] - layer["ours"]) ** 2).sum() == pytest.approx(layer["paid"], rel=1e-4)
    for layer in shown(trained, "activation_boundary", alone, [3])["layers"]:
        assert set(np.unique(layer["theirs"])) <= {0.0, 1.0} and layer["ours"].min() < 0 < layer["ours"].max()
    for layer in shown(trained, "map_information", alone, [3])["layers"]:
        off = (layer["theirs"] - layer["ours"]) / layer["spread"][:, None, None]
        assert layer["paid"] == pytest.approx(float((np.log(layer["spread"])[:, None, None] + off ** 2 / 2).mean()),
                                              rel=1e-4)


def test_of_several_images_the_means_are_drawn(trained):
    *_, alone, _ = trained
    each = [shown(trained, "attention_maps", alone, [index])["layers"][0] for index in (3, 5)]
    both = shown(trained, "attention_maps", alone, [3, 5])["layers"][0]
    assert np.allclose(both["ours"], (each[0]["ours"] + each[1]["ours"]) / 2, atol=1e-6)
    assert both["paid"] == pytest.approx((each[0]["paid"] + each[1]["paid"]) / 2, rel=1e-5)


def test_connectors_are_the_runs_own_where_it_learnt_them(trained):
    *_, alone, taught = trained
    ask = {"kind": "hint", "indices": [3]}
    assert shown(trained, run=alone, **ask)["connected"] == "fitted"
    own = shown(trained, run=taught, batch_norm=True, **ask)
    assert own["connected"] == "learnt"
    assert shown(trained, run=taught, **ask)["connected"] == "fitted", "those it learnt are of other layers"
    assert shown(trained, kind="attention_maps", run=taught, indices=[3])["connected"] == ""


@pytest.mark.parametrize("window", ["none", "third", "full"])
def test_the_marked_place_is_where_the_teacher_attends_most(trained, window):
    *_, alone, _ = trained
    maps = shown(trained, "attention_maps", alone, [3])["layers"]
    for layer, attention in zip(shown(trained, "attention_jacobian", alone, [3], window=window)["layers"], maps):
        assert layer["theirs"].shape == (1, 8, 8) and all(0 < share < 1 for share in layer["mark"])
        down, across = layer["mark"]
        height, width = attention["theirs"].shape
        if window == "none":
            place = math.floor(down * height), math.floor(across * width)
            assert attention["theirs"][place] == attention["theirs"].max()
        if window == "full":
            assert layer["mark"] == pytest.approx((0.5, 0.5))
    assert shown(trained, "attention_jacobian", alone, [3, 4])["layers"][0]["mark"] is None


def test_what_cannot_be_compared_says_why(trained):
    store, teacher, alone, _ = trained
    student = store.submit(read({**STUDENT, "network": {"name": "fc_student", "width": 0.05}}).planned())
    worker.execute(store, store.queue.claim(99, student))
    entries = inspect.layers(store, [(alone, None), (student, None)], "attention_maps", [3], (teacher, None))
    assert [bool(entry["layers"]) for entry in entries] == [True, False]
    assert entries[1]["reason"].startswith("Attention maps cannot be compared: ")


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_that_are_alike_lie_together(rows):
    matrix = np.array([[1.0, 0, 0], [0, 1, 0], [2, 0.1, 0], [0, 0, 1], [0, 3, 0.1]])[:rows]
    order = _order(matrix).tolist()
    assert sorted(order) == list(range(rows))
    assert rows < 5 or {abs(order.index(0) - order.index(2)), abs(order.index(1) - order.index(4))} == {1}


def test_an_answer_without_its_teacher_is_an_answer_with_a_reason(trained):
    store, teacher, alone, taught = trained
    networks, last = [(alone, None), (taught, None)], store.snapshot_steps(teacher)[-1]
    full = inspect.outputs(store, networks, 3, (teacher, last))
    found = inspect.outputs(store, [*networks, (alone, 9999)], 3, (teacher, 9999))
    for entry, other in zip(found, full):
        assert np.array_equal(entry["shares"], other["shares"]) and other["paid"] > 0 and not other["reason"]
        assert entry["paid"] is None and "9999" in entry["reason"]
    assert found[2]["shares"] is None and "9999" in found[2]["reason"] and len(found[2]["classes"]) == 10
