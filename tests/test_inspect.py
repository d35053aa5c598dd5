"""What the pages draw is what was trained: the number under a map is the number in the loss."""

import copy
import json

import numpy as np
import pytest
import torch

from kdcore import data, inspect, snapshots, train, worker
from kdcore.catalogue import catalogue, image_set
from kdcore.config import parse, read
from kdcore.errors import UserError
from kdcore.knowledge import TERMS
from kdcore.methods import METHODS
from kdcore.objective import Method
from kdcore.response import Response
from kdcore.store import Store
from tests.conftest import WIDTHS
from tests.data.made import class_folders, write
from tests.replicas import REPLICAS

ADAM = {"learning_rate": 3e-3}
CATALOGUE = catalogue()
MAPS = list(CATALOGUE["maps"])
NETWORKS = (*WIDTHS, "residual8", "wrn_10_1", "vgg4")  # one of each kind of layer
IMAGES = (0, 3, 41)
DIGITS = data.DataConfig(name="digits")
SETTINGS = {"targeted_double_backpropagation": [{"threshold": 0.2, "outside": 2.0, "inside": 1.0},
                                                {"reading": "literal"}],
            "full_jacobian": [{"projections": 2}], "jacobian_match": [{"classes": "teacher"}, {"classes": "all"}],
            "jacobian_norm": [{"form": "probabilities"}, {"classes": "teacher"}]}
SUMS = {"jacobian_match", "jacobian_norm"}
CASES = [(kind, settings) for kind in MAPS for settings in ({}, *SETTINGS.get(kind, []))]


def network(name, width):
    return {"name": name, "width": width, "initial": "he"}


TEACHER = {"data": {"name": "digits"}, "network": network("fc_teacher", 0.1), "optimiser": ADAM, "steps": 120,
           "evaluations": 1, "device": "cpu"}
STUDENT = {"data": {"name": "digits", "per_class": 2}, "network": network("fc_student", 0.1), "optimiser": ADAM,
           "teacher": TEACHER, "method": "full_jacobian", "steps": 40, "evaluations": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with a trained pair: (store, teacher's run, student's run, the baseline's run)."""
    store = Store(tmp_path_factory.mktemp("trained"))
    student = store.submit(read(STUDENT).planned())
    baseline = store.submit(read({**STUDENT, "method": "labels_only"}).planned())
    while row := store.queue.claim(99):
        worker.execute(store, row)
    return store, store.run(student)["teacher"], student, baseline


def one_image(index):
    return data.images(DIGITS, "test", index=torch.tensor([index]))


def in_the_loss(kind, settings, teacher, student, one):
    """The term as the trainer computes it: the teacher's answer without a graph, the student's with one."""
    term = TERMS[kind](kind=kind, **settings)
    with torch.no_grad():
        taught = term.teach(Response(teacher, one.pixels, one.labels))
    return float(term.loss(Response(student, one.pixels, one.labels), taught).detach())


@pytest.mark.parametrize(("kind", "settings"), CASES, ids=str)
@pytest.mark.parametrize("index", IMAGES)
def test_the_distance_under_a_map_is_the_term_in_the_loss(trained, kind, settings, index):
    """To 1e-5, for this image, both networks in evaluation mode; and it is the paper's, written out literally."""
    store, teacher, student, _ = trained
    one = one_image(index)
    shown = inspect.maps(store, [(student, None)], kind, index, teacher=(teacher, None), settings=settings)[0]
    networks = [snapshots.network(store, run) for run in (teacher, student)]
    assert shown["distance"] == pytest.approx(in_the_loss(kind, settings, *networks, one), rel=1e-5)
    term = TERMS[kind](kind=kind, **settings)
    exact = [copy.deepcopy(network).double() for network in networks]
    literal = float(REPLICAS[kind](term, *exact, one.pixels.double(), one.labels).detach())
    assert shown["distance"] == pytest.approx(literal, rel=1e-3, abs=1e-12)
    assert abs(shown["distance"] - literal) < 1e-5 * max(1, literal)


@pytest.mark.parametrize("kind", MAPS)
def test_the_distance_is_made_of_the_drawn_numbers(trained, kind):
    """What is drawn of teacher and student decides the distance; nothing is computed beside it."""
    store, teacher, student, _ = trained
    theirs, ours = inspect.maps(store, [(teacher, None), (student, None)], kind, 3, teacher=(teacher, None))
    drawn = np.square(theirs["maps"] - ours["maps"]) if TERMS[kind].zero_at_equality else ours["maps"]
    made = drawn.sum() if kind in SUMS else drawn.mean()
    assert ours["distance"] == pytest.approx(float(made), rel=1e-4)
    assert not TERMS[kind].zero_at_equality or theirs["distance"] == 0


@pytest.mark.parametrize("kind", MAPS)
def test_a_map_has_a_row_for_each_class_or_one(trained, kind):
    store, teacher, student, _ = trained
    entry = inspect.maps(store, [(student, None)], kind, 0, teacher=(teacher, None))[0]
    rows = 10 if CATALOGUE["maps"][kind]["row_per_class"] else 1
    assert entry["maps"].shape == (rows, 1, 8, 8) and np.isfinite(entry["maps"]).all() and entry["reason"] == ""
    assert entry["probabilities"].shape == (10,) and entry["probabilities"].sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", MAPS)
def test_without_a_teacher_there_is_a_map_or_a_sentence(trained, kind):
    store, _, student, _ = trained
    term = TERMS[kind](kind=kind)
    if term.needs_teacher and not term.zero_at_equality:
        with pytest.raises(UserError, match="choose a student that has a teacher"):
            inspect.maps(store, [(student, None)], kind, 0)
        return
    entry = inspect.maps(store, [(student, None)], kind, 0)[0]
    assert entry["maps"] is not None and entry["reason"] == ""
    assert (entry["distance"] is None) == term.needs_teacher
    assert entry["probabilities"].shape == (10,)


def save(store, run, config):
    """Its untrained network."""
    snapshots.save(store.snapshot(run, 0), {"network": train.build(config).state_dict(), "connectors": {}})


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A store with one untrained run of each network: {name: run}."""
    store = Store(tmp_path_factory.mktemp("untrained"))
    runs = {}
    for name in NETWORKS:
        config = read({"data": {"name": "digits"}, "network": network(name, 0.2)})
        runs[name] = store.submit(config.planned())
        save(store, runs[name], config)
    return store, runs


@pytest.mark.parametrize("kind", CATALOGUE["attributions"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_attribution_is_a_finite_map_on_every_kind_of_network(untrained, name, kind):
    store, runs = untrained
    teacher = runs[name.replace("student", "teacher")]
    before = inspect.maps(store, [(runs[name], 0)], "cost_gradient", 5)[0]
    if kind == "attribution.lrp" and name not in WIDTHS:
        with pytest.raises(UserError, match="LRP is not defined for this network"):
            inspect.maps(store, [(runs[name], 0)], kind, 5, teacher=(teacher, 0))
        return
    entry = inspect.maps(store, [(runs[name], 0)], kind, 5, teacher=(teacher, 0))[0]
    assert entry["reason"] == "" and entry["maps"].shape == (1, 1, 8, 8)
    assert np.isfinite(entry["maps"]).all() and np.abs(entry["maps"]).max() > 0
    assert np.isfinite(entry["distance"]) and (entry["distance"] == 0) == (runs[name] == teacher)
    after = inspect.maps(store, [(runs[name], 0)], "cost_gradient", 5)[0]
    assert np.array_equal(before["maps"], after["maps"]), "the attribution changed the network"


@pytest.mark.parametrize("name", NETWORKS)
def test_saliency_is_the_labels_class_map(untrained, name):
    store, runs = untrained
    label = inspect.image(store, runs[name], 5)["label"]
    saliency, = inspect.maps(store, [(runs[name], 0)], "attribution.saliency", 5)
    classes, = inspect.maps(store, [(runs[name], 0)], "full_jacobian", 5)
    np.testing.assert_allclose(saliency["maps"][0], classes["maps"][label], rtol=1e-5, atol=1e-7)


def test_disagreements_are_images_that_the_teacher_gets_right_and_the_baseline_wrong(trained):
    store, teacher, _, baseline = trained
    images = data.images(DIGITS, "test")
    right = snapshots.network(store, teacher)(images.pixels).argmax(1) == images.labels
    theirs = snapshots.network(store, baseline)(images.pixels).softmax(1)
    wrong = theirs.argmax(1) != images.labels
    found = inspect.disagreements(store, (teacher, None), (baseline, None), count=1000)
    assert sorted(found) == torch.nonzero(right & wrong).flatten().tolist() and found
    surest = theirs.amax(1)[found].tolist()
    assert surest == sorted(surest, reverse=True)
    assert inspect.disagreements(store, (teacher, None), (baseline, None), count=3) == found[:3]
    assert inspect.disagreements(store, (teacher, None), (teacher, None)) == []


def test_an_image_is_what_was_trained_on(trained):
    store, _, student, _ = trained
    found = inspect.image(store, student, 7)
    assert found["pixels"].shape == (1, 8, 8) and found["pixels"].min() >= 0 and found["pixels"].max() <= 1
    assert found["label"] == int(one_image(7).labels) and len(found["classes"]) == 10
    last = data.images(DIGITS, "train", index=torch.tensor([1296]))
    assert np.array_equal(inspect.image(store, student, 1296, part="train")["pixels"], last.pixels[0])


def test_the_images_that_a_run_holds_out_are_drawn(tmp_path):
    """By their position among them; a run without any says so."""
    store = Store(tmp_path)
    config = read({"data": {"name": "digits", "per_class": 10, "validation": 0.2}, "seed": 3,
                   "network": network("fc_student", 0.02)})
    run = store.submit(config.planned())
    save(store, run, config)
    held_out = data.of_run(config, "validation")
    found = inspect.image(store, run, 7, part="validation")
    assert np.array_equal(found["pixels"], held_out.pixels[7]) and found["label"] == int(held_out.labels[7])
    assert inspect.maps(store, [(run, 0)], "full_jacobian", 19, part="validation")[0]["maps"] is not None
    with pytest.raises(UserError, match="Digits has validation images 0 to 19; there is no image 20"):
        inspect.image(store, run, 20, part="validation")
    other = store.submit(read({"data": {"name": "digits"}, "network": network("fc_student", 0.02)}).planned())
    save(store, other, config)
    with pytest.raises(UserError, match="holds out no images"):
        inspect.image(store, other, 0, part="validation")
    mistakes = inspect.disagreements(store, (other, 0), (run, 0), part="validation")
    assert set(mistakes) <= set(range(20))


def test_own_images_are_drawn_and_described(tmp_path):
    config = read({"data": {"name": "folder", "path": str(write(tmp_path / "set", class_folders())), "size": 8},
                   "network": network("fc_student", 0.02)})
    store = Store(tmp_path / "store")
    run = store.submit(config.planned())
    save(store, run, config)
    assert inspect.image(store, run, 3)["classes"] == ("cat", "dog")
    assert inspect.maps(store, [(run, 0)], "full_jacobian", 3)[0]["maps"].shape == (2, 3, 8, 8)
    told = json.loads(json.dumps(image_set(data.source(config.data))))
    assert (told["title"], told["train"], told["left_out"]) == ("set", 16, {})


QUESTIONS = {
    "image": lambda store, run, index: inspect.image(store, run, index),
    "maps": lambda store, run, index: inspect.maps(store, [(run, None)], "full_jacobian", index),
    "timeline": lambda store, run, index: inspect.timeline(store, run, [0], "full_jacobian", index),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("index", [-1, 500, 10**9])
def test_an_image_that_is_not_there_is_a_sentence(trained, question, index):
    store, _, student, _ = trained
    with pytest.raises(UserError, match=rf"Digits has test images 0 to 499; there is no image {index}\."):
        QUESTIONS[question](store, student, index)


def test_a_run_that_is_not_there_is_a_sentence(trained):
    store, *_ = trained
    with pytest.raises(UserError, match="There is no run 99"):
        inspect.maps(store, [(99, None)], "full_jacobian", 0)


def test_a_timeline_has_every_snapshot_and_ends_with_the_last_map(trained):
    store, teacher, student, _ = trained
    steps = store.snapshot_steps(student)
    line = inspect.timeline(store, student, steps, "full_jacobian", 3, teacher=(teacher, None))
    last, = inspect.maps(store, [(student, None)], "full_jacobian", 3, teacher=(teacher, None))
    assert list(line) == steps and steps[-1] == STUDENT["steps"]
    assert np.array_equal(line[steps[-1]]["maps"], last["maps"]) and line[steps[-1]]["distance"] == last["distance"]
    assert len({entry["distance"] for entry in line.values()}) == len(steps)


def test_a_deleted_runs_maps_are_not_shown_for_a_later_run(tmp_path):
    """Networks are kept in memory by their run's number."""
    store = Store(tmp_path)
    drawn = []
    for seed in (1, 2):
        config = read({"data": {"name": "digits"}, "network": network("fc_student", 0.02), "seed": seed})
        run = store.submit(config.planned())
        save(store, run, config)
        drawn.append(inspect.maps(store, [(run, 0)], "full_jacobian", 0)[0]["maps"])
        store.bin.delete(run)
    assert not np.array_equal(*drawn)


def test_the_catalogue_is_json():
    assert json.loads(json.dumps(CATALOGUE)).keys() == CATALOGUE.keys()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_comes_back_from_the_catalogue(name):
    entry = json.loads(json.dumps(CATALOGUE))["methods"][name]
    assert parse(Method, {field: entry[field] for field in Method.model_fields}) == METHODS[name]


def test_the_catalogue_describes_every_choice():
    assert set(CATALOGUE["terms"]) == set(TERMS) and set(MAPS) <= set(TERMS)
    assert CATALOGUE["baseline"] in CATALOGUE["methods"] and CATALOGUE["headline"] in CATALOGUE["methods"]
    for term in CATALOGUE["terms"].values():
        assert all("description" in field and "default" in field for field in term["fields"].values())
    fields = CATALOGUE["schemas"]["run"] | CATALOGUE["schemas"]["network"] | CATALOGUE["schemas"]["optimiser"]
    assert {"steps", "batch_size", "seed", "width", "learning_rate"} <= {
        name for name, field in fields.items() if "description" in field}


def test_a_teacher_of_other_classes_stands_beside_the_student(tmp_path):
    """It answers in its own words, has no maps of the student's classes, and nobody is measured against it."""
    store = Store(tmp_path)
    teacher = {**TEACHER, "steps": 1, "network": {**TEACHER["network"], "classes": 12}}
    student = store.submit(read({**STUDENT, "steps": 1, "teacher": teacher, "method": "labels_only"}).planned())
    while row := store.queue.claim(99):
        worker.execute(store, row)
    named = (store.run(student)["teacher"], None)
    for kind in (*MAPS, "attribution.saliency"):
        if kind in CATALOGUE["maps"] and CATALOGUE["maps"][kind]["number"] == "penalty" and TERMS[kind]().needs_teacher:
            with pytest.raises(UserError, match="choose a student that has a teacher of the same classes"):
                inspect.maps(store, [named, (student, None)], kind, 3, teacher=named)
            continue
        theirs, ours = inspect.maps(store, [named, (student, None)], kind, 3, teacher=named)
        assert theirs["distance"] is None and theirs["classes"] == tuple(f"output {i}" for i in range(12))
        assert len(theirs["probabilities"]) == 12 and ours["classes"] == tuple("0123456789")
        assert ours["maps"] is not None and np.isfinite(ours["maps"]).all()
        assert (theirs["maps"] is None) == (kind != "summed_jacobian"), kind
        assert theirs["maps"] is not None or "tells other classes apart" in theirs["reason"]
        taught = kind in CATALOGUE["maps"] and not TERMS[kind]().needs_teacher
        assert (ours["distance"] is not None) == taught, kind
    assert inspect.disagreements(store, named, (student, None)) == []
