"""A server's settings: a file with sentences, limits that say why, and what runs are also written to."""

import json
import multiprocessing
import os
import threading

import pytest

from kdcore import settings, worker
from kdcore.data.folder import images_of
from kdcore.errors import UserError
from kdcore.models.start import File
from kdcore.store import Store
from tests.test_store import TEACHER, planned
from tests.test_worker import LONG, claimed, give_up_at_once, read, store, unbroken  # noqa: F401


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("KD_SETTINGS", str(path))
    return path


def test_without_a_file_all_is_as_on_ones_own_machine(file):
    assert settings.read() == settings.Settings() and settings.read().people == "one"


def test_each_setting_has_its_sentence_and_the_file_reads_back(file):
    chosen = settings.Settings(slots=3, mlflow='a "folder"', most_gigabytes=2.5, read_only=True, sees="own")
    file.write_text(settings.text(chosen))
    assert settings.read() == chosen
    for name, field in settings.Settings.model_fields.items():
        assert field.description.endswith((".", ").")) and f"# {field.description}" in file.read_text(), name


@pytest.mark.parametrize("text, sentence", [
    ("slot = 3", "there is no setting 'slot' .did you mean 'slots'"), ("slots = 0", "slots = 0 is not possible"),
    ("slots =", "cannot be read"), ('sees = "nothing"', 'sees = "nothing" is not possible')])
def test_a_wrong_file_is_a_sentence(file, text, sentence):
    file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        settings.read()


def refusal(store, count=1, owner="ada", **chosen):  # noqa: F811
    runs = [{**planned(str(number), str(number), TEACHER), "side": 64} for number in range(count)]
    return settings.Settings(**chosen).refusal(runs, store, owner)


@pytest.mark.parametrize("chosen, sentence", [
    ({}, ""), ({"read_only": True}, "shows what was trained, and starts and changes nothing"),
    ({"most_steps": 9}, "A run may have 9 steps on this server, and one of these has 10"), ({"most_steps": 10}, ""),
    ({"most_side": 32}, "32 pixels a side on this server, and these have 64"), ({"most_side": 64}, ""),
    ({"most_queued": 3}, ""), ({"most_gigabytes": 1}, "")])
def test_limits_say_why(store, chosen, sentence):  # noqa: F811
    assert sentence in refusal(store, **chosen) and bool(sentence) == bool(refusal(store, **chosen))


def test_what_waits_counts_for_its_owner_alone(store):  # noqa: F811
    store.submit_all([planned("a", "a", TEACHER)], "mine", owner="ada")
    assert "you have 2, and these are 2 more" in refusal(store, 2, most_queued=3)
    assert refusal(store, 2, owner="bob", most_queued=3) == "", "the teacher is there already"


def test_what_is_trained_again_counts_and_so_does_what_goes_on(store):  # noqa: F811
    chosen = settings.Settings(most_queued=2, most_steps=9)
    runs = store.submit_all([planned("a", "a"), planned("b", "b")], "mine", owner="ada")
    run = [planned("a", "a", steps=9)]
    assert not chosen.refusal(run, store, "bob") and not chosen.refusal(run, store, "bob", again=True)
    assert "you have 2, and these are 1 more" in chosen.refusal(run, store, "ada", again=True)
    store.queue.pause(runs)
    assert chosen.refusal_again(store.runs(ids=runs), store, "ada").startswith("A run may have 9 steps")
    assert not settings.Settings(most_queued=2).refusal_again(store.runs(ids=runs), store, "ada")
    assert "you have 0, and these are 2 more" in settings.Settings(most_queued=1).refusal_again(
        store.runs(ids=runs), store, "ada")
    assert "these are 1 more" not in settings.Settings(most_queued=1).refusal(run, store, "ada"), "it goes on"


def test_what_goes_on_counts_with_what_it_needs(store):  # noqa: F811
    run = store.submit(planned("s", "s", TEACHER))
    store.queue.stop([run, store.run(run)["teacher"]])
    rows = store.runs(ids=[run])
    assert "these are 2 more" in settings.Settings(most_queued=1).refusal_again(rows, store, "")
    with store.transaction() as db:
        db.execute("UPDATE runs SET steps = 99 WHERE role = 'teacher'")
    assert "one of these has 99" in settings.Settings(most_steps=50).refusal_again(rows, store, "")


def test_the_side_of_images_is_what_they_have_where_nobody_says():
    assert read({"data": {"name": "cifar10"}, "network": {"name": "wrn_10_1"}}).planned()["side"] == 32
    assert read({"data": {"name": "digits"}, "network": {"name": "wrn_10_1", "resize": 48}}).planned()["side"] == 48


def test_a_full_store_takes_no_more(store):  # noqa: F811
    place = store.snapshot(1, 0)
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes(3_000_000))
    assert "may take 0.002 GB on this server, and they take 0.0" in refusal(store, most_gigabytes=0.002)


@pytest.fixture
def at_work(tmp_path):
    """A worker that has not begun."""
    made = worker._Worker(Store(tmp_path), 1)
    made.processes = multiprocessing.get_context("fork")  # under xdist there is no main module to start another way
    return made


def test_a_worker_follows_the_settings_and_waits_while_they_cannot_be_read(file, at_work):
    file.write_text("slots = 7")
    at_work._follow_settings()
    assert at_work.device["slots"] == 7
    file.write_text("slot = 3")
    at_work.store.submit(planned())
    at_work._turn()
    (said,) = at_work.store.queue.workers()
    assert said["slots"] == 0 and "there is no setting 'slot' (did you mean 'slots'?)" in said["device"]
    assert at_work.store.run(1)["state"] == "queued"
    file.write_text("slots = 3")
    at_work._follow_settings()
    assert at_work.settings.slots == 7, "a file that is being written may read as empty"
    at_work._follow_settings()
    assert at_work.device["slots"] == 3


def test_a_cluster_that_is_left_before_it_answers_is_not_joined_later(file, at_work, monkeypatch):
    made, answers = [], threading.Event()

    class Slow:
        def __init__(self, address, gpu_share):
            answers.wait()
            self.closed = False
            made.append(self)

        def describe(self):
            return {"title": "a cluster", "slots": 9, "gpus": 0, "cores": 9, "device": "ray"}

        def close(self):
            self.closed = True

    monkeypatch.setattr(worker, "Cluster", Slow)
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.01)
    file.write_text('ray = "there"')
    at_work._follow_settings()
    assert at_work.device["slots"] == 0 and "has not answered yet" in at_work.device["title"]
    file.write_text("slots = 3")
    for _ in range(2):
        at_work._follow_settings()
    answers.set()
    at_work.asking.shutdown()
    assert at_work.device["slots"] == 3 and at_work.cluster is None and made[0].closed


def test_what_a_worker_that_is_gone_left_behind_takes_its_slot(file, at_work):
    file.write_text("slots = 1")
    for _ in range(2):
        at_work.store.submit(planned(hash=str(_)))
    left = at_work.store.queue.claim(99)
    at_work._turn()
    assert [row["id"] for row in at_work.store.queue.alive()] == [left["id"]] and not at_work.running


def test_a_device_that_ends_whoever_asks_is_said(file, at_work, monkeypatch):
    monkeypatch.setattr(worker, "_describe_device", lambda pipe: os._exit(1))
    at_work._follow_settings()
    assert at_work.device["slots"] == 0 and "does not answer" in at_work.device["title"]


def interrupted(store, monkeypatch):  # noqa: F811
    """A run that was killed half way, a while after its last resume point, and continued; its number."""
    from kdcore import train

    real = train.train
    monkeypatch.setattr(train, "RESUME_SECONDS", 0.0)

    def failing(*arguments, **named):
        for record in real(*arguments, **named):
            if record.step > 250:
                monkeypatch.setattr(train, "RESUME_SECONDS", 60.0)
            yield record
            if record.step > 300:
                raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", failing)
    run = store.submit(read(LONG).planned())
    row = store.queue.claim(99, run)
    with pytest.raises(KeyboardInterrupt):
        worker.execute(store, row)
    monkeypatch.setattr(train, "train", real)
    give_up_at_once(monkeypatch)
    assert worker.execute(store, store.queue.claim(99, run)) == "done"
    return run


def test_tensorboard_has_every_point_once(unbroken, file, monkeypatch):  # noqa: F811
    tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    store, _ = unbroken  # noqa: F811
    file.write_text("tensorboard = true")
    run = interrupted(store, monkeypatch)
    events = tensorboard.EventAccumulator(str(store.folder / "tensorboard" / str(run)))
    events.Reload()
    steps, values = store.curves([run], "accuracy")[run]
    found = events.Scalars("accuracy")
    assert [point.step for point in found] == steps
    assert [point.value for point in found] == pytest.approx(values)
    assert "knowledge/full_jacobian" in events.Tags()["scalars"]


def test_mlflow_has_every_point_once(unbroken, file, tmp_path, monkeypatch):  # noqa: F811
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store, _ = unbroken  # noqa: F811
    file.write_text(f"mlflow = {json.dumps((tmp_path / 'mlruns').as_uri())}")
    run = interrupted(store, monkeypatch)
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    known = json.loads((store.folder / "mlflow" / f"{run}" / "told.json").read_text())
    found = client.get_run(known["run"])
    assert found.info.status == "FINISHED" and found.data.params["steps"] == "500"
    steps, values = store.curves([run], "accuracy")[run]
    history = client.get_metric_history(known["run"], "accuracy")
    assert [(point.step, point.value) for point in history] == list(zip(steps, values))


def test_a_tracking_server_that_is_gone_costs_the_run_nothing(store, file, monkeypatch):  # noqa: F811
    from kdcore import tracking

    class Gone:
        title = "MLflow"

        def __init__(self, *_):
            pass

        def log(self, *_):
            raise ConnectionError("nobody is there")

    monkeypatch.setattr(tracking, "_MLflow", Gone)
    file.write_text('mlflow = "http://localhost:1"')
    row = claimed(store)
    assert worker.execute(store, row) == "done"
    assert [event["text"] for event in store.events(row["id"])] == [
        "MLflow is not told any more: ConnectionError: nobody is there."]


def test_a_tracking_server_that_is_not_there_from_the_beginning_neither(store, file):  # noqa: F811
    pytest.importorskip("mlflow")
    file.write_text('mlflow = "http://127.0.0.1:9"')
    row = claimed(store)
    assert worker.execute(store, row) == "done"
    (event,) = store.events(row["id"])
    assert event["text"].startswith("MLflow is not told any more: MlflowException: ")


def test_tracking_without_its_packages_is_a_sentence(store, file, monkeypatch):  # noqa: F811
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    file.write_text('mlflow = "somewhere"')
    row = claimed(store)
    with pytest.raises(UserError, match="mlflow is not installed: pip install -r requirements-tracking.txt"):
        worker.execute(store, row)
    assert store.run(row["id"])["state"] == "failed"


@pytest.mark.parametrize("named", ["/etc/passwd", "../elsewhere.zip", "{data}/../elsewhere", "{data}/store/runs"])
def test_on_a_server_for_several_nobody_names_files_outside_the_data_folder(file, tmp_path, monkeypatch, named):
    monkeypatch.setenv("KD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KD_STORE", str(tmp_path / "data" / "store"))
    (tmp_path / "data").mkdir()
    named = named.format(data=tmp_path / "data")
    start = File(path=named if named.startswith("/") else str(tmp_path / "data" / named))
    faults = {"one": "cannot be read|There is no file|more than weights", "session": "data folder alone"}
    for people, sentence in faults.items():
        file.write_text(f'people = "{people}"')
        with pytest.raises(UserError, match=sentence):
            images_of(named, 32)
        with pytest.raises(UserError, match=sentence):
            start.read(None)


def test_what_the_owner_links_into_the_data_folder_is_in_it(file, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "weights.pt").write_bytes(b"")
    (tmp_path / "data" / "weights.pt").symlink_to(tmp_path / "weights.pt")
    file.write_text('people = "login"')
    File(path=str(tmp_path / "data" / "weights.pt")).check()
