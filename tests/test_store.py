"""The store: one claim at a time, nothing lost, nothing half written."""

import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from kdcore import database, queue
from kdcore.errors import StaleClaim, UserError
from kdcore.places import replace_file
from kdcore.store import Store

TEACHER = {"config": {"name": "teacher", "seed": 0, "member": None, "threads": 1, "steps": 10,
                      "method": {"name": "labels_only", "title": "Labels only"}},
           "hash": "a teacher's hash", "obstacle": "", "side": 8, "published": True, "teacher": None, "parts": []}


def planned(name="run", hash="a hash", teacher=None, members=(), obstacle="", **changes):
    """A planned run as plain data; the store reads nothing else of it."""
    return {**TEACHER, "config": {**TEACHER["config"], "name": name, **changes}, "hash": hash, "obstacle": obstacle,
            "teacher": teacher, "parts": list(members)}


def ensemble(teacher=None):
    """A planned ensemble of two."""
    return planned("ensemble", "an ensemble's hash", teacher, [
        planned(f"member {i}", f"a member's hash {i}", teacher, member=i) for i in (0, 1)])


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "CONFIRM_SECONDS", 0.0)
    return Store(tmp_path)


def claimed(store, **changes):
    store.submit(planned(**changes))
    return store.queue.claim(99)


def ended(store, state="done", **changes):
    row = claimed(store, **changes)
    store.finish(row["id"], row["claim"], state)
    return row["id"]


def silence(store, run):
    """Let the run's last sign of life lie a minute back."""
    with closing(sqlite3.connect(store.folder / "store.sqlite")) as db, db:
        db.execute("UPDATE runs SET heartbeat = ? WHERE id = ?", (time.time() - 60, run))


def test_what_hinders_a_run_keeps_it_and_all_that_it_needs_out_of_the_queue(store):
    hindered = {**TEACHER, "obstacle": "There is no such file."}
    for run in (planned(teacher=TEACHER, obstacle="There is no such file."), planned(teacher=hindered),
                planned(members=[planned("member", "m", obstacle="There is no such file.")])):
        with pytest.raises(UserError, match="There is no such file."):
            store.submit(run)
        assert not store.runs()
    ended(store, hash=TEACHER["hash"])
    assert store.submit(planned(teacher=hindered)), "a teacher that is trained needs nothing any more"


def test_runs_are_added_to_what_an_experiment_of_ones_own_lists(store):
    store.submit_all([planned("first", "one")], "table", "ann", content={"how": "by hand"})
    assert store.add([planned("second", "two")], "table", "ann") == "table"
    assert store.experiment("table")["content"] == {"how": "by hand"}
    assert {run["hash"] for run in store.runs("table")} == {"one", "two"}
    assert store.add([planned("second", "two")], "table", "ann") == "table" and len(store.runs()) == 2


def test_another_persons_experiment_and_a_deleted_one_keep_their_name(store):
    store.add([planned("first", "one")], "table", "ann")
    assert store.add([planned("second", "two")], "table", "bob") == "table (2)"
    assert store.add([planned("third", "three")], "table", "bob") == "table (2)"  # his own, each time
    assert store.experiment("table")["owner"] == "ann" and len(store.runs("table")) == 1
    with store.transaction() as db:
        db.execute("UPDATE experiments SET deleted = 1 WHERE name = 'table'")
    assert store.add([planned("fourth", "four")], "table", "cid") == "table (3)"


def test_each_run_is_claimed_once(tmp_path):
    stores = Store(tmp_path), Store(tmp_path)
    ids = {stores[0].submit(planned(str(number), hash=str(number))) for number in range(30)}
    start = threading.Barrier(8)

    def claim_all(number):
        start.wait()
        return [row["id"] for row in iter(lambda: stores[number % 2].queue.claim(1), None)]

    with ThreadPoolExecutor(8) as pool:
        taken = [run for runs in pool.map(claim_all, range(8)) for run in runs]
    assert sorted(taken) == sorted(ids)


def test_runs_are_claimed_in_order_of_submission(store):
    ids = [store.submit(planned(hash=str(number))) for number in range(3)]
    assert [store.queue.claim(1)["id"] for _ in ids] == ids and store.queue.claim(1) is None


def test_a_run_that_takes_more_threads_than_there_are_waits(store):
    store.submit(planned(threads=4))
    assert store.queue.claim(3) is None and store.queue.claim(4) is not None
    assert sum(row["threads"] for row in store.queue.alive()) == 4


def test_a_silent_run_is_taken_over_and_a_live_one_is_not(store):
    first = claimed(store)
    assert store.queue.claim(99) is None
    silence(store, first["id"])
    assert store.queue.alive() == []
    second = store.queue.claim(99)
    assert (second["id"], second["claim"]) == (first["id"], first["claim"] + 1)
    assert store.queue.claim(99) is None


WRITES = {
    "heartbeat": lambda store, run, claim: store.heartbeat(run, claim),
    "append": lambda store, run, claim: store.append(run, claim, 5, {"accuracy": 0.5}),
    "note": lambda store, run, claim: store.note(run, claim, 5, "text"),
    "progress": lambda store, run, claim: store.progress(run, claim, 5),
    "withdraw": lambda store, run, claim: store.withdraw(run, claim, after=0),
    "finish": lambda store, run, claim: store.finish(run, claim, "done"),
    "release": lambda store, run, claim: store.release(run, claim, "text"),
}


def everything(store):
    with closing(sqlite3.connect(store.folder / "store.sqlite")) as db:
        return [db.execute(f"SELECT * FROM {table}").fetchall() for table in ("runs", "metrics", "events")]


@pytest.mark.parametrize("write", WRITES)
def test_a_stale_claims_writes_are_refused(store, write):
    first = claimed(store)
    silence(store, first["id"])
    second = store.queue.claim(99)
    store.append(first["id"], second["claim"], 3, {"accuracy": 0.1})
    before = everything(store)
    with pytest.raises(StaleClaim):
        WRITES[write](store, first["id"], first["claim"])
    assert everything(store) == before


@pytest.mark.parametrize("write", WRITES)
def test_an_ended_runs_claim_is_stale(store, write):
    row = claimed(store)
    store.finish(row["id"], row["claim"], "done")
    before = everything(store)
    with pytest.raises(StaleClaim):
        WRITES[write](store, row["id"], row["claim"])
    assert everything(store) == before


def test_a_run_whose_processes_keep_dying_is_given_up_in_a_sentence(store):
    run = store.submit(planned())
    for _ in range(queue.DEATHS):
        row = store.queue.claim(99)
        store.release(run, row["claim"], "it died")
    assert store.queue.claim(99) is None
    assert store.run(run)["state"] == "failed" and "died 5 times" in store.run(run)["message"]


def test_a_student_waits_for_its_teacher(store):
    student = store.submit(planned(teacher=TEACHER))
    teacher = store.queue.claim(99)
    assert teacher["role"] == "teacher" and store.run(student)["teacher"] == teacher["id"]
    assert store.queue.claim(99) is None
    store.finish(teacher["id"], teacher["claim"], "done")
    assert store.queue.claim(99)["id"] == student


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_teacher_that_did_not_finish_fails_its_students_with_a_sentence(store, state):
    student = store.submit(planned(teacher=TEACHER))
    teacher = store.queue.claim(99)
    store.finish(teacher["id"], teacher["claim"], state)
    assert store.queue.claim(99) is None
    row = store.run(student)
    assert row["state"] == "failed" and row["message"].startswith("Its teacher did not finish;")


def test_students_share_a_teacher(store):
    students = [store.submit(planned(hash=str(number), teacher=TEACHER)) for number in range(3)]
    assert len({store.run(student)["teacher"] for student in students}) == 1
    assert len(store.runs()) == 4


@pytest.mark.parametrize(("state", "again"), [("done", False), ("failed", True), ("stopped", True)])
def test_a_teacher_is_trained_again_only_where_it_did_not_finish(store, state, again):
    store.submit(planned(hash="one", teacher=TEACHER))
    teacher = store.queue.claim(99)
    store.finish(teacher["id"], teacher["claim"], state)
    second = store.submit(planned(hash="two", teacher=TEACHER))
    assert (store.run(second)["teacher"] != teacher["id"]) == again


def ended_next(store, state="done"):
    """The next run that is claimed, ended; its id."""
    row = store.queue.claim(99)
    store.finish(row["id"], row["claim"], state)
    return row["id"]


def test_an_ensemble_waits_for_its_members_and_they_for_their_teacher(store):
    run = store.submit(ensemble(TEACHER))
    members = store.parts(run)
    assert [store.run(member)["role"] for member in members] == ["member", "member"]
    assert store.run(run)["role"] == "ensemble" and store.parts(members[0]) == []
    assert ended_next(store) == store.run(run)["teacher"]
    first, second = store.queue.claim(99), store.queue.claim(99)
    assert [first["id"], second["id"]] == members and store.queue.claim(99) is None
    store.finish(first["id"], first["claim"], "done")
    assert store.queue.claim(99) is None
    store.finish(second["id"], second["claim"], "done")
    assert store.queue.claim(99)["id"] == run


def test_members_that_are_there_are_not_queued_again(store):
    alone = store.submit(ensemble()["parts"][0])
    run = store.submit(ensemble())
    assert alone in store.parts(run) and len(store.runs()) == 3


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_member_that_did_not_finish_fails_its_ensemble_with_a_sentence_and_is_started_again_with_it(store, state):
    run = store.submit(ensemble())
    done, broken = ended_next(store), ended_next(store, state)
    assert store.queue.claim(99) is None
    row = store.run(run)
    assert row["state"] == "failed" and row["message"] == (
        "A run that it is made of did not finish; start it again to go on with both.")
    store.queue.restart([run])
    assert [store.run(number)["state"] for number in (done, broken, run)] == ["done", "queued", "queued"]
    assert store.run(run)["message"] == "" and [ended_next(store), ended_next(store)] == [broken, run]


def test_an_ensemble_whose_teacher_did_not_finish_is_started_again_as_a_whole(store):
    run = store.submit(ensemble(TEACHER))
    ended_next(store, "failed")
    assert store.queue.claim(99) is None and {row["state"] for row in store.runs()} == {"failed"}
    store.queue.restart([run])
    assert {row["state"] for row in store.runs()} == {"queued"}


def test_a_member_is_not_deleted_before_its_ensemble(store):
    run = store.submit(ensemble())
    members = store.parts(run)
    with pytest.raises(UserError, match=r"^An ensemble, or another student of it, is made of this run; delete that one "
                                        r"first\.$"):
        store.bin.delete(members[0])
    for number in (run, *members):
        store.bin.delete(number)
    assert store.runs() == []


def test_what_was_recorded_after_a_step_is_withdrawn(store):
    row = claimed(store)
    for step in (0, 5, 10):
        store.append(row["id"], row["claim"], step, {"accuracy": step / 10, "loss": 1.0})
        store.note(row["id"], row["claim"], step, f"step {step}")
    store.withdraw(row["id"], row["claim"], after=5)
    assert store.curves([row["id"]], "accuracy") == {row["id"]: ([0, 5], [0, 0.5])}
    assert [event["text"] for event in store.events(row["id"])] == ["step 0", "step 5"]
    assert store.run(row["id"])["step"] == 5


def test_why_a_process_ended_stays_to_be_read_when_the_run_continues(store):
    row = claimed(store)
    store.append(row["id"], row["claim"], 7, {"accuracy": 0.5})
    store.release(row["id"], row["claim"], "The run's process ended unexpectedly.")
    again = store.queue.claim(99)
    store.withdraw(row["id"], again["claim"], after=3)
    assert [event["text"] for event in store.events(row["id"])] == ["The run's process ended unexpectedly."]


def test_a_step_recorded_twice_counts_once(store):
    row = claimed(store)
    for value in (0.1, 0.2):
        store.append(row["id"], row["claim"], 5, {"accuracy": value})
    assert store.curves([row["id"]], "accuracy") == {row["id"]: ([5], [0.2])}


def test_a_waiting_run_stops_at_once(store):
    run = store.submit(planned())
    store.queue.stop([run])
    assert store.run(run)["state"] == "stopped" and store.queue.claim(99) is None


def test_a_running_run_is_asked_to_stop(store):
    row = claimed(store)
    assert store.heartbeat(row["id"], row["claim"]) == ""
    store.queue.stop([row["id"]])
    assert store.run(row["id"])["state"] == "running" and store.heartbeat(row["id"], row["claim"]) == "stopped"


@pytest.mark.parametrize("state", ["done", "failed", "stopped"])
def test_stopping_leaves_an_ended_run_as_it_is(store, state):
    run = ended(store, state)
    before = store.run(run)
    store.queue.stop([run])
    assert store.run(run) == before


def test_what_is_deleted_is_gone_and_had_back_for_a_day(store):
    row = claimed(store, name="mine", hash="mine")
    run, claim = row["id"], row["claim"]
    store.append(run, claim, 1, {"accuracy": 0.5})
    store.note(run, claim, 1, "text")
    replace_file(store.snapshot(run, 1), b"weights")
    replace_file(store.resume_point(run), b"state")
    store.finish(run, claim, "done")
    before = everything(store)
    store.bin.delete(run)
    with pytest.raises(UserError, match=f"There is no run {run}"):
        store.run(run)
    assert store.find("mine") is None and store.runs() == []
    (gone,) = store.bin.deleted()
    assert (gone["name"], gone["runs"]) == ("mine", 1)
    store.bin.purge()
    store.bin.undelete(gone["deleted"])
    assert everything(store) == before and store.bin.deleted() == []
    store.bin.delete(run)
    replace_file(store.folder / "tensorboard" / str(run) / "events", b"points")
    store.bin.purge(kept_seconds=-1)
    assert store.bin.deleted(), "a clock that jumps empties nothing: it has to be long ago for a while"
    store.bin.purge(kept_seconds=-1, confirm_seconds=0)
    assert everything(store) == [[], [], []] and store.bin.deleted() == []
    assert not list(store.folder.rglob("*.pt")) and store.size() == 0


def test_what_is_needed_by_what_is_kept_is_kept_with_all_that_it_needs(store):
    """An ensemble's students of a teacher: deleted one by one, and only some of it removed."""
    run = store.submit(ensemble(TEACHER))
    members, teacher = store.parts(run), store.run(run)["teacher"]
    for each in (run, *members, teacher):
        store.bin.delete(each)
    last, *_, first = [gone["deleted"] for gone in store.bin.deleted()]
    store.bin.empty([gone["deleted"] for gone in store.bin.deleted() if gone["deleted"] != first])
    assert len(store.bin.deleted()) == 1 + len(members) + 1, "the ensemble may still be had back"
    store.bin.undelete(first)
    assert {row["id"] for row in store.runs()} == {run, *members, teacher}


def test_an_experiment_is_had_back_with_runs_that_went_with_anothers(store):
    run = store.submit_all([planned("a", "a")], "ada's", owner="ada")[0]
    store.submit_all([planned("a", "a")], "bob's", owner="bob")
    for name in ("ada's", "bob's"):
        store.bin.delete_experiment(name)
    (hers,), (his,) = store.bin.deleted("ada"), store.bin.deleted("bob")
    store.bin.empty([his["deleted"]])
    store.bin.undelete(hers["deleted"])
    assert store.experiments() == ["ada's"] and [row["id"] for row in store.runs("ada's")] == [run]


def test_everybody_has_back_or_removes_what_was_theirs(store):
    for who in ("ada", "bob"):
        store.submit_all([planned(who, who)], who, owner=who)
        store.bin.delete_experiment(who)
    assert [gone["name"] for gone in store.bin.deleted()] == ["bob", "ada"]
    (gone,) = store.bin.deleted("ada")
    assert (gone["name"], gone["runs"], gone["owner"]) == ("ada", 1, "ada")
    store.bin.empty([gone["deleted"]])
    assert [gone["name"] for gone in store.bin.deleted()] == ["bob"] and store.bin.deleted("ada") == []


def test_a_student_is_had_back_with_its_teacher(store):
    student = store.submit(planned(teacher=TEACHER))
    teacher = store.run(student)["teacher"]
    for run in (student, teacher):
        store.bin.delete(run)
        time.sleep(0.001)
    last, first = store.bin.deleted()
    store.bin.undelete(first["deleted"])
    assert {row["id"] for row in store.runs()} == {student, teacher} and store.bin.deleted() == []


def test_an_experiment_is_deleted_with_what_is_its_own(store):
    ours, theirs = [store.submit_all([planned(hash=hash, teacher=TEACHER), planned(hash="both", teacher=TEACHER)], name)
                    for name, hash in (("ours", "1"), ("theirs", "2"))]
    assert ours[1] == theirs[1]
    store.bin.delete_experiment("ours")
    assert store.experiments() == ["theirs"] and ours[0] not in {row["id"] for row in store.runs()}
    assert len(store.runs("theirs")) == 3, "with the teacher"
    assert [(gone["name"], gone["runs"]) for gone in store.bin.deleted()] == [("ours", 1)]
    store.bin.undelete(store.bin.deleted()[0]["deleted"])
    assert store.experiments() == ["theirs", "ours"] and len(store.runs("ours")) == 3
    row = store.queue.claim(99)
    with pytest.raises(UserError, match="still running; stop them first"):
        store.bin.delete_experiment("theirs") or store.bin.delete_experiment("ours")
    store.finish(row["id"], row["claim"], "done")


def test_what_a_waiting_run_starts_from_is_neither_thinned_nor_deleted(store):
    row = claimed(store)
    first = row["id"]
    for step in range(5):
        replace_file(store.snapshot(first, step), b"")
    store.finish(first, row["claim"], "done")
    start = {"network": {"start": {"kind": "run", "run": first, "step": 1}}}
    (later,) = store.submit_all([planned("later", "later", **start)], "theirs")
    store.submit_all([planned()], "ours")
    store.thin([first], keep=2)
    assert store.snapshot_steps(first) == [0, 1, 4]
    with pytest.raises(UserError, match="start from what this one learnt"):
        store.bin.delete(first)
    store.bin.delete_experiment("ours")
    assert store.run(first)["state"] == "done", "it is needed still"
    store.queue.stop([later])
    store.thin([first], keep=2)
    assert store.snapshot_steps(first) == [0, 4]
    store.bin.delete(first)


def test_a_running_run_is_not_deleted(store):
    row = claimed(store)
    with pytest.raises(UserError, match="stop it first"):
        store.bin.delete(row["id"])
    assert store.run(row["id"])["state"] == "running"


def test_a_teacher_is_not_deleted_before_its_students(store):
    student = store.submit(planned(teacher=TEACHER))
    teacher = store.run(student)["teacher"]
    with pytest.raises(UserError, match="1 students? learnt from this teacher"):
        store.bin.delete(teacher)
    store.bin.delete(student)
    store.bin.delete(teacher)
    assert store.runs() == []


def test_a_deleted_runs_number_is_not_given_again(store):
    """Links and kept maps name a run by its number."""
    run = ended(store)
    store.bin.delete(run)
    assert store.submit(planned()) != run


@pytest.mark.parametrize(("given", "kept"), [
    ("  two\t words \n", "two words"),
    ("<b>bold</b> & <script>", "<b>bold</b> & <script>"),
    ("../../etc/name", "../../etc/name"),
    ("'; DROP TABLE runs; --", "'; DROP TABLE runs; --"),
    ("x" * 500, "x" * 120)])
def test_a_name_is_kept_as_written(store, given, kept):
    run = store.submit(planned())
    store.rename(run, given)
    assert store.run(run)["name"] == kept
    assert store.snapshot(run, 1) == store.folder / "runs" / str(run) / "snapshots" / "1.pt"


@pytest.mark.parametrize("name", ["", "  ", "\n\t"])
def test_an_empty_name_is_refused(store, name):
    run = store.submit(planned("before"))
    with pytest.raises(UserError, match="at least one letter"):
        store.rename(run, name)
    assert store.run(run)["name"] == "before"


def test_an_older_store_is_brought_up_to_date_and_a_copy_is_kept(tmp_path):
    """One of the second format, with a run that was asked to stop; the first had no members."""
    file = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(database._FORMATS[2])
        db.execute("INSERT INTO runs (name, experiment, role, method, title, seed, config, hash, state, stopping, "
                   "threads, steps, created) VALUES ('old', 'before', 'teacher', 'labels_only', 'Labels only', 1, "
                   "'{}', 'h', 'running', 1, 1, 10, 5.0)")
        db.execute("DROP TABLE members")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    store = Store(tmp_path)
    (row,) = store.runs("before")
    assert (row["name"], row["wish"], row["owner"], row["priority"]) == ("old", "stopped", "", 0)
    assert store.experiments() == ["before"] and len(store.parts(store.submit(ensemble()))) == 2
    with closing(sqlite3.connect(file)) as db, closing(sqlite3.connect(tmp_path / "store-format-1.sqlite")) as copy:
        assert db.execute("PRAGMA user_version").fetchone() == (database.VERSION,)
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT name, stopping FROM runs").fetchall() == [("old", 1)]
    assert Store(tmp_path).runs() == store.runs(), "and once only"


def test_a_newer_versions_store_is_left_as_it_is(tmp_path):
    Store(tmp_path).submit(planned())
    file = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"newer version .*format is 99.* Nothing was changed\."):
        Store(tmp_path)
    assert file.read_bytes() == before


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(UserError, match="cannot be used .*KD_STORE"):
        Store(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "text"


def test_a_file_that_is_no_store_is_a_sentence(tmp_path):
    (tmp_path / "store.sqlite").write_text("text " * 1000)
    with pytest.raises(UserError, match="cannot be used .*KD_STORE"):
        Store(tmp_path)
    assert (tmp_path / "store.sqlite").read_text() == "text " * 1000


def test_a_store_that_another_process_is_making_is_waited_for(tmp_path):
    """App, worker and inspector open a fresh store at the same moment."""
    maker = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")
    maker.execute("CREATE TABLE begun (id INTEGER)")
    release = threading.Timer(0.3, lambda: (maker.execute("ROLLBACK"), maker.close()))
    release.start()
    try:
        assert Store(tmp_path).runs() == []
    finally:
        release.join()


def test_an_opened_store_has_what_another_wrote(store):
    run = store.submit(planned("kept"), "experiment")
    assert Store(store.folder).run(run) == store.run(run)


def test_curves_are_of_the_runs_that_recorded_the_metric(store):
    one, two = claimed(store, hash="1"), claimed(store, hash="2")
    for step, value in ((10, 0.3), (0, 0.1), (5, 0.2)):
        store.append(one["id"], one["claim"], step, {"accuracy": value})
    store.append(two["id"], two["claim"], 0, {"loss": 1.5})
    ids = [one["id"], two["id"]]
    assert store.curves(ids, "accuracy") == {one["id"]: ([0, 5, 10], [0.1, 0.2, 0.3])}
    assert store.curves([], "accuracy") == {}
    assert store.metric_names(ids) == ["accuracy", "loss"] and store.metric_names([two["id"]]) == ["loss"]


def test_of_a_long_curve_so_many_points_are_given_and_the_last(store):
    row = claimed(store)
    for step in range(0, 1001, 10):
        store.append(row["id"], row["claim"], step, {"accuracy": step / 1000})
    for most, expected in ((None, 101), (500, 101), (101, 101), (50, 51), (10, 11), (1, 2)):
        steps, values = store.curves([row["id"]], "accuracy", most)[row["id"]]
        assert len(steps) == expected and (steps[0], steps[-1]) == (0, 1000), most
        assert values == [step / 1000 for step in steps] and len(steps) <= (most or 101) + 1


def test_a_summary_is_best_and_last_and_the_seconds(store):
    row = claimed(store)
    for step, accuracy, seconds in ((0, 0.1, 0.0), (5, 0.9, 1.5), (10, 0.8, 3.0)):
        store.append(row["id"], row["claim"], step, {"accuracy": accuracy, "seconds": seconds})
    waiting = store.submit(planned(hash="waiting"))
    assert store.summary([row["id"], waiting]) == {row["id"]: {"best": 0.9, "last": 0.8, "seconds": 3.0}}


def test_experiments_are_named_newest_first(store):
    for number, experiment in enumerate(("first", "second", "", "first")):
        store.submit(planned(hash=str(number)), experiment)
    assert store.experiments() == ["second", "first"]
    assert [row["hash"] for row in store.runs("first")] == ["3", "0"]
    assert [row["hash"] for row in store.runs()] == ["3", "2", "1", "0"]
    assert store.runs(ids=[]) == []


def test_a_worker_is_seen_while_it_gives_signs_of_life(store, monkeypatch):
    store.queue.greet(4711, "a device", 2)
    assert [worker["pid"] for worker in store.queue.workers()] == [4711]
    with monkeypatch.context() as patch:
        patch.setattr(queue, "STALE_SECONDS", -1.0)
        assert store.queue.workers() == []
        store.queue.greet(4712, "a device", 2)
    assert [worker["pid"] for worker in store.queue.workers()] == [4712]
    store.queue.part(4712)
    assert store.queue.workers() == []


def test_snapshots_are_listed_by_step(store):
    for step in (100, 5, 20):
        replace_file(store.snapshot(3, step), b"weights")
    assert store.snapshot_steps(3) == [5, 20, 100] and store.snapshot_steps(4) == []


def test_a_file_is_replaced_at_once(tmp_path):
    replace_file(tmp_path / "new" / "file.pt", b"old")
    replace_file(tmp_path / "new" / "file.pt", b"new")
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [b"new"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    file = tmp_path / "file.pt"
    replace_file(file, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(file, b"new")
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "other.pt", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file.pt": b"old"}


def test_notes_and_tags_are_kept_as_written(store):
    run = store.submit(planned(), "tried")
    store.annotate(run, "  two\n\n <b>lines</b> ", "good, baseline good\tü")
    store.annotate_experiment("tried", "of all", "paper")
    assert (store.run(run)["note"], store.run(run)["tags"]) == ("two\n\n <b>lines</b>", "good baseline ü")
    assert (store.experiment("tried")["note"], store.experiment("tried")["tags"]) == ("of all", "paper")
    store.submit_all([planned()], "tried", content={"seeds": [1]})
    assert store.experiment("tried")["note"] == "of all", "an experiment that is asked for again is the same one"
    store.submit(planned("other", "another hash"), "untagged")
    assert store.tagged() == {"baseline": {"tried"}, "good": {"tried"}, "paper": {"tried"}, "ü": {"tried"}}
    store.bin.delete_experiment("tried")
    assert store.tagged() == {}


@pytest.mark.parametrize(("note", "tags", "sentence"), [
    ("x" * 5001, "", "A note may have 5000 letters, and this one has 5001"),
    ("", "x" * 31, "A tag may have 30 letters, and x{30}… has 31"),
    ("", " ".join(map(str, range(21))), "There may be 20 tags, and these are 21")])
def test_a_note_that_is_too_long_is_a_sentence(store, note, tags, sentence):
    run = store.submit(planned(), "tried")
    for annotate, which in ((store.annotate, run), (store.annotate_experiment, "tried")):
        with pytest.raises(UserError, match=sentence):
            annotate(which, note, tags)
    assert (store.run(run)["note"], store.run(run)["tags"]) == ("", "")
    store.annotate(run, "x" * 5000, " ".join(f"{n:030}" for n in range(20)))


def test_a_store_without_notes_gets_room_for_them(tmp_path):
    """As one of an earlier day, in which runs lie; the format stays, so that an older worker goes on."""
    run = Store(tmp_path).submit(planned(), "tried")
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db, db:
        for table in ("runs", "experiments"):
            for column in ("note", "tags"):
                db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        version = db.execute("PRAGMA user_version").fetchone()
    store = Store(tmp_path)
    assert (store.run(run)["note"], store.experiment("tried")["tags"]) == ("", "")
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == version
        db.execute("INSERT INTO experiments (name, owner, created, content) VALUES ('older', '', 0, '{}')")
