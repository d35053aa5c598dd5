"""Experiments that leave as a zip file and come back elsewhere; students that load without this project."""

import io
import json
import pickle
import random
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pandas
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from safetensors.torch import load_file, save

import kdcore
from kdcore import bundle, snapshots, worker
from kdcore.config import parse, read
from kdcore.errors import UserError
from kdcore.experiment import Experiment
from kdcore.store import Store
from tests.test_worker import RUN, TEACHER, assert_same


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with an experiment of two students of one teacher, one with a connector, and an ensemble; its zip."""
    store = Store(tmp_path_factory.mktemp("made"))
    experiment = parse(Experiment, {"name": "mine", "run": {**RUN, "teacher": TEACHER}, "seeds": [1],
                                    "methods": ["hint", "labels_ensemble"]})
    planned = experiment.planned()
    store.submit_all(planned["runs"], "mine", content=planned["content"])
    while row := store.queue.claim(99):
        worker.execute(store, row)
    file = tmp_path_factory.mktemp("zip") / "mine.zip"
    store.annotate_experiment("mine", "one line\n<b>another</b>", "paper")
    store.annotate(next(row["id"] for row in store.runs("mine") if row["role"] == "student"), "odd", "look again")
    bundle.export_experiment(store, "mine", file)
    return store, file


def test_an_experiment_comes_back_as_it_was(made, tmp_path):
    theirs, file = made
    ours = Store(tmp_path)
    assert bundle.import_experiment(ours, file) == "mine"
    assert ours.experiments() == ["mine"]
    before, after = ({row["hash"]: row for row in store.runs("mine")} for store in (theirs, ours))
    assert before.keys() == after.keys() and len(after) == 7
    for key, row in after.items():
        old = before[key]
        same = ("config", "state", "role", "title", "seed", "step", "steps", "created", "finished", "note", "tags")
        assert {name: row[name] for name in same} == {name: old[name] for name in same}
        assert bool(row["teacher"]) == bool(old["teacher"])
        assert [theirs.run(part)["hash"] for part in theirs.parts(old["id"])] == [
            ours.run(part)["hash"] for part in ours.parts(row["id"])]
        assert [one[1:] for one in ours.metrics([row["id"]])] == [one[1:] for one in theirs.metrics([old["id"]])]
        for step in theirs.snapshot_steps(old["id"]):
            one, two = (snapshots.load(store.snapshot(run["id"], step)) for store, run in ((ours, row), (theirs, old)))
            assert_same(one["network"], two["network"])
            assert_same(one["connectors"], {key: value for key, value in two["connectors"].items() if value})
    assert {"look", "again", "paper"} == set(ours.tagged())
    assert ours.experiment("mine")["note"] == "one line\n<b>another</b>"
    ours.annotate_experiment("mine", "", "")
    noted = next(row["id"] for row in ours.runs("mine") if row["tags"])
    ours.annotate(noted, "ours", "")
    assert bundle.import_experiment(ours, file) == "mine (2)" and len(ours.runs()) == 7, "nothing is doubled"
    assert ours.run(noted)["note"] == "ours", "what is here already keeps its own"


def test_what_is_in_the_file_opens_in_any_tool(made, tmp_path):
    store, file = made
    with zipfile.ZipFile(file) as packed:
        packed.extractall(tmp_path)
    frame = pandas.read_parquet(tmp_path / "metrics.parquet")
    assert frame.equals(kdcore.metrics("mine", store)) and {"run", "step", "accuracy"} <= set(frame.columns)
    pandas.testing.assert_frame_equal(pandas.read_csv(tmp_path / "metrics.csv"), frame)
    weights = next((tmp_path / "runs").rglob("*.safetensors"))
    assert all(name.startswith(("network/", "connectors/")) for name in load_file(weights))


def test_runs_are_a_data_frame(made, monkeypatch):
    store, _ = made
    monkeypatch.setenv("KD_STORE", str(store.folder))
    table = kdcore.runs("mine")
    assert list(table[table.role == "student"]["method"]) == ["Labels only", "FitNet hints"]
    row = table[table.method == "FitNet hints"].iloc[0]
    assert row["accuracy"] == store.summary([row.name])[row.name]["last"] and row["data.per_class"] == 2
    assert row["teacher.network.width"] == 0.05 and row["optimiser.learning_rate"] == 3e-3
    assert table[table["tags"] != ""][["tags", "note"]].values.tolist() == [["look again", "odd"]]
    assert len(kdcore.runs()) == 7 and list(kdcore.metrics("mine")["step"].unique())[0] == 0
    with pytest.raises(UserError, match="There is no experiment 'other' in .*; there is 'mine'"):
        kdcore.runs("other")


def test_an_empty_store_is_an_empty_frame(tmp_path):
    assert len(kdcore.runs(store=Store(tmp_path))) == len(kdcore.metrics(store=Store(tmp_path))) == 0


def test_a_network_that_is_no_program_comes_with_lines_that_read_its_weights(made, tmp_path, monkeypatch):
    store, _ = made
    run = next(row["id"] for row in store.runs("mine") if row["role"] == "student")
    monkeypatch.setattr(bundle, "_program", lambda *_: (_ for _ in ()).throw(RuntimeError("no")))
    files = bundle.export_student(store, run, tmp_path)
    assert [file.name for file in files] == ["load.py", "run.json", "student.pt", "student.safetensors"]
    said = subprocess.run([sys.executable, "-I", "load.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(said.stdout.splitlines()) == len(torch.load(tmp_path / "student.pt", weights_only=True))


def test_a_student_loads_without_this_project(made, tmp_path):
    store, _ = made
    run = next(row["id"] for row in store.runs("mine") if row["role"] == "student")
    network, images = snapshots.network(store, run), torch.rand(3, 1, 8, 8)
    files = bundle.export_student(store, run, tmp_path)
    assert [file.name for file in files] == ["load.py", "run.json", "student.pt", "student.pt2", "student.safetensors"]
    for state in (load_file(tmp_path / "student.safetensors"), torch.load(tmp_path / "student.pt", weights_only=True)):
        assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    torch.save(images, tmp_path / "images.pt")
    code = (tmp_path / "load.py").read_text()
    assert len(code.strip().splitlines()) == 5
    check = "torch.save(program(torch.load('images.pt')), 'logits.pt')"
    alone = subprocess.run([sys.executable, "-I", "-c", f"{code}\n{check}"], cwd=tmp_path, capture_output=True,
                           text=True)
    assert alone.returncode == 0, alone.stderr
    assert torch.equal(torch.load(tmp_path / "logits.pt"), network(images))


def changed(file, place, **entries):
    """The zip with some entries replaced, or left out where they are None."""
    content = io.BytesIO()
    with zipfile.ZipFile(file) as packed, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as fresh:
        for name in packed.namelist():
            if name not in entries:
                fresh.writestr(name, packed.read(name))
        for name, value in entries.items():
            if value is not None:
                fresh.writestr(name, value)
    (place / "changed.zip").write_bytes(content.getvalue())
    return place / "changed.zip"


def described(file, **changes):
    with zipfile.ZipFile(file) as packed:
        content = json.loads(packed.read("experiment.json"))
    return json.dumps({**content, **changes})


def with_run(file, which=0, **changes):
    content = json.loads(described(file))
    content["runs"][which] |= changes
    return json.dumps(content)


def snapshot(file):
    with zipfile.ZipFile(file) as packed:
        return next(name for name in packed.namelist() if name.endswith(".safetensors"))


HOSTILE = {
    "truncated": lambda file, place: (place / "x.zip").write_bytes(file.read_bytes()[:5000]) and place / "x.zip",
    "no zip": lambda file, place: (place / "x.zip").write_bytes(b"GIF89a" * 99) and place / "x.zip",
    "a folder": lambda file, place: place,
    "nothing": lambda file, place: place / "nowhere.zip",
    "without its description": lambda file, place: changed(file, place, **{"experiment.json": None}),
    "no JSON": lambda file, place: changed(file, place, **{"experiment.json": "{"}),
    "another format": lambda file, place: changed(file, place, **{"experiment.json": described(file, format=99)}),
    "runs of another kind": lambda file, place: changed(file, place, **{"experiment.json": described(
        file, runs=["one"])}),
    "a run of a stranger": lambda file, place: changed(file, place, **{"experiment.json": json.dumps({
        **json.loads(described(file)), "runs": json.loads(described(file))["runs"][1:]})}),
    "an unknown field": lambda file, place: changed(file, place, **{"experiment.json": described(file).replace(
        '"batch_size"', '"batch_sise"')}),
    "a pickle": lambda file, place: changed(file, place, **{snapshot(file): pickle.dumps(print)}),
    "weights of another length": lambda file, place: changed(file, place, **{snapshot(file): save(
        {"network/a": torch.zeros(3)})[:-4]}),
    **{name: (lambda file, place, change=change: changed(file, place, **{"experiment.json": with_run(file, **change)}))
       for name, change in {
           "a step of a billion billions": {"step": 10**30}, "a number without end": {"created": float("inf")},
           "a moment far away": {"events": [[1, 1e300, "text"]]}, "half a letter": {"message": "\ud800"},
           "a note without end": {"note": "x" * 5001}, "a tag without end": {"tags": "x" * 31},
           "images of this machine": {"config": {"data": {"name": "folder", "path": "/usr/share/doc"}, "network": {
               "name": "fc_student"}}},
           "a file of this machine": {"config": {"data": {"name": "digits"}, "network": {
               "name": "fc_student", "start": {"kind": "file", "path": "/etc/hostname"}}}}}.items()},
    "a note of the last run without end": lambda file, place: changed(file, place, **{"experiment.json": with_run(
        file, -1, note="x" * 5001)}),
    "a note of the experiment without end": lambda file, place: changed(file, place, **{"experiment.json": described(
        file, note="x" * 5001)}),
    "tags of the experiment without end": lambda file, place: changed(file, place, **{"experiment.json": described(
        file, tags=" ".join(map(str, range(21))))}),
    "a circle": lambda file, place: changed(file, place, **{"experiment.json": with_run(file, teacher=1)}),
    "no runs": lambda file, place: changed(file, place, **{"experiment.json": described(file, runs=[])}),
    "of another zip": lambda file, place: (place / "x.zip").write_bytes(file.read_bytes().replace(
        b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\x63")) and place / "x.zip",
    "numbers that are words": lambda file, place: changed(file, place, **{"metrics.csv": "run,step,loss\n1,2,high\n"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_sentence_and_leaves_nothing(made, tmp_path, name):
    place = tmp_path / "files"
    place.mkdir()
    file, store = HOSTILE[name](made[1], place), Store(tmp_path / "store")
    with pytest.raises(UserError, match=r"\.$"):
        bundle.import_experiment(store, file)
    assert store.runs() == [] and store.experiments() == []
    assert not [path for path in store.folder.iterdir() if not path.name.startswith("store.sqlite")]


def test_a_bomb_is_not_unpacked(made, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MOST_BYTES", 10_000_000)
    file = changed(made[1], tmp_path, **{"metrics.csv": b"0" * 20_000_000})
    assert file.stat().st_size < 2_000_000
    with pytest.raises(UserError, match="holds 0.0 GB in .* are the most that is read"):
        bundle.import_experiment(Store(tmp_path / "store"), file)


def test_paths_and_marks_in_names_stay_names(made, tmp_path):
    """Entries that lead elsewhere are not read, and what looks like HTML is text."""
    name = "<img src=x onerror=alert(1)> ../../etc"
    file = changed(made[1], tmp_path, **{
        "experiment.json": described(made[1], name=name), "../../escaped.safetensors": b"x",
        "runs/1/snapshots/../../../5.safetensors": b"x", "/etc/passwd": b"x"})
    store = Store(tmp_path / "in" / "store")
    assert bundle.import_experiment(store, file) == name
    assert {path.name for path in tmp_path.iterdir()} == {"in", "changed.zip"} and len(store.runs(name)) == 7


def test_an_import_that_fails_half_way_leaves_no_files(made, tmp_path, monkeypatch):
    store = Store(tmp_path)

    def full(run, metrics, events):
        if run == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "record", full)
    with pytest.raises(OSError, match="No space left"):
        bundle.import_experiment(store, made[1])
    assert store.runs() == [] and not store.experiments()
    run = store.submit(read({**RUN, "seed": 9}).planned())
    assert store.snapshot_steps(run) == []


def test_a_class_is_never_code(made, tmp_path, monkeypatch):
    store, _ = made
    side = "dog\nprint('INJECTED')\n#"
    monkeypatch.setattr(bundle, "_program", lambda *_: None)
    monkeypatch.setattr(bundle.torch.export, "save", lambda program, file: file.write(b"x"))
    real = bundle.read

    def reading(content):
        config = real(content)
        return SimpleNamespace(side=lambda: SimpleNamespace(images=(1, 8, 8), classes=(side,)),
                               model_dump_json=config.model_dump_json)

    monkeypatch.setattr(bundle, "read", reading)
    run = next(row["id"] for row in store.runs("mine") if row["role"] == "student")
    bundle.export_student(store, run, tmp_path)
    assert len((tmp_path / "load.py").read_text().strip().splitlines()) == 5


def test_what_still_waits_is_left_out(tmp_path):
    store = Store(tmp_path)
    store.submit_all([read({**RUN, "teacher": TEACHER, "method": "full_jacobian"}).planned()], "mine")
    student, teacher = store.runs()
    store.queue.stop([student["id"]])
    with pytest.raises(UserError, match="No run of 'mine' has ended with all that it needs"):
        bundle.export_experiment(store, "mine", tmp_path / "x.zip")
    worker.execute(store, store.queue.claim(99, teacher["id"]))
    bundle.export_experiment(store, "mine", tmp_path / "x.zip")
    assert not list(tmp_path.glob("x.[0-9]*"))
    other = Store(tmp_path / "other")
    assert bundle.import_experiment(other, tmp_path / "x.zip") == "mine" and len(other.runs()) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.randoms(use_true_random=False))
def test_a_file_with_any_bytes_changed_is_read_or_refused(made, tmp_path, chance: random.Random):
    content = bytearray(made[1].read_bytes())
    for _ in range(chance.randint(1, 40)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    (tmp_path / "spoiled.zip").write_bytes(content)
    store = Store(tmp_path / "store")
    before = store.experiments()
    try:
        bundle.import_experiment(store, tmp_path / "spoiled.zip")
    except UserError as error:
        assert str(error).endswith(".") and store.experiments() == before
