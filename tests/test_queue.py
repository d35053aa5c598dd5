"""The queue: fair turns, priorities, places, pauses, and clocks that jump."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kdcore import queue
from kdcore import store as store_module
from kdcore.errors import UserError
from kdcore.places import replace_file
from kdcore.store import Store
from tests.test_store import TEACHER, ensemble, planned, silence


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def submitted(store, *names, owner="", **changes):
    return [store.submit(planned(name, name, **changes), owner=owner) for name in names]


def taken(store, end=True):
    """Names of the runs in the order in which one slot takes them."""
    while row := store.queue.claim(1):
        yield row["name"]
        if end:
            store.finish(row["id"], row["claim"], "done")


def test_owners_take_turns_however_many_runs_each_has(store):
    submitted(store, "a1", "a2", "a3", "a4", owner="ada")
    submitted(store, "b1", "b2", owner="bob")
    submitted(store, "c1", owner="cy")
    assert list(taken(store)) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_who_has_fewest_runs_going_comes_first(store):
    submitted(store, "a1", "a2", "a3", owner="ada")
    assert [store.queue.claim(1)["name"] for _ in range(2)] == ["a1", "a2"]
    submitted(store, "b1", "b2", "b3", owner="bob")
    assert [store.queue.claim(1)["name"] for _ in range(3)] == ["b1", "b2", "a3"]


def test_a_higher_priority_is_taken_first_and_so_is_what_it_waits_for(store):
    submitted(store, "one", "two")
    student = store.submit(planned("student", "s", TEACHER))
    together = store.submit(ensemble(TEACHER))
    store.queue.prioritise([student], 1)
    line = taken(store)
    assert [next(line), next(line), next(line)] == ["teacher", "student", "one"]
    store.queue.prioritise([together], 1)
    store.queue.prioritise(submitted(store, "low"), -1)
    assert list(line) == ["member 0", "member 1", "ensemble", "two", "low"]
    with pytest.raises(UserError, match="no priority 7"):
        store.queue.prioritise([student], 7)


def test_runs_are_moved_to_the_front_and_to_the_end_of_the_line(store):
    one, two, three, four = submitted(store, "one", "two", "three", "four")
    store.queue.move([four, three], first=True)
    store.queue.move([one], first=False)
    assert [row["name"] for row in store.queue.line()] == ["three", "four", "two", "one"]
    submitted(store, "new")
    assert list(taken(store)) == ["three", "four", "two", "one", "new"]


def test_paused_runs_wait_until_they_are_started_again(store):
    student = store.submit(planned(teacher=TEACHER))
    teacher, = {row["id"] for row in store.runs()} - {student}
    store.queue.pause([student, teacher])
    assert store.queue.claim(1) is None and {row["state"] for row in store.runs()} == {"paused"}
    assert store.ensure(planned(teacher=TEACHER)) == student, "it is found again"
    store.queue.restart([student])
    assert list(taken(store)) == ["teacher", "run"]
    store.queue.pause([student])
    assert store.run(student)["state"] == "done"


def test_the_last_wish_counts(store):
    row = store.queue.claim(1) or (submitted(store, "run") and store.queue.claim(1))
    store.queue.pause([row["id"]])
    assert store.heartbeat(row["id"], row["claim"]) == "paused"
    store.queue.restart([row["id"]])
    assert store.heartbeat(row["id"], row["claim"]) == ""
    store.queue.stop([row["id"]])
    store.release(row["id"], row["claim"], "It was killed meanwhile.")
    assert store.run(row["id"])["state"] == "stopped" and store.run(row["id"])["finished"]


def test_the_wish_that_counts_is_the_last_one_when_it_ends(store):
    submitted(store, "a", "b", "c")
    for wishes, state in ((("pause", "restart"), "queued"), (("pause", "stop"), "stopped"), (("pause",), "paused")):
        row = store.queue.claim(1)
        for wish in wishes:
            getattr(store.queue, wish)([row["id"]])
        store.finish(row["id"], row["claim"], "paused")  # as it saw the first one
        assert store.run(row["id"])["state"] == state
        store.queue.stop([row["id"]])


def test_a_run_that_is_released_while_its_process_ends_is_not_started_beside_it(store):
    submitted(store, "run")
    row = store.queue.claim(1)
    store.release(row["id"], row["claim"], "Its device went away.")
    assert store.queue.claim(1, mine=[row["id"]]) is None and store.queue.claim(1)["id"] == row["id"]


def test_what_was_deleted_together_waits_together_when_it_is_had_back(store):
    """With a worker that looks for work in between."""
    store.submit_all([planned("student", "s", TEACHER)], "mine")
    store.bin.delete_experiment("mine")
    assert store.queue.claim(1) is None
    store.bin.undelete(store.bin.deleted()[0]["deleted"])
    assert list(taken(store)) == ["teacher", "student"]


def test_an_experiment_that_was_deleted_is_there_again_when_its_name_is_used(store):
    store.ensure(planned(), "mine")
    store.bin.delete_experiment("mine")
    store.ensure(planned(), "mine")
    assert store.experiments() == ["mine"]


def test_two_processes_queue_a_run_once(tmp_path):
    start = threading.Barrier(2)

    def queue_it(_):
        store = Store(tmp_path)
        start.wait()
        return store.ensure(planned())

    for _ in range(10):
        with ThreadPoolExecutor(2) as pool:
            assert len(set(pool.map(queue_it, range(2)))) == 1


def test_what_a_clock_that_jumped_deleted_too_early_is_kept_with_its_student(store, monkeypatch):
    student = store.submit(planned("student", "s", TEACHER))
    teacher = store.run(student)["teacher"]
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(store_module.time, "time", lambda: real() + 3600)
        store.bin.delete(student)
    store.bin.delete(teacher)
    with monkeypatch.context() as patch:
        patch.setattr(store_module.time, "time", lambda: real() + 24 * 3600 + 60)
        store.bin.purge()
    assert len(store.bin.deleted()) == 2


def test_a_number_that_is_given_again_has_no_files_of_the_one_before(store):
    """As where an import failed at its second run."""
    with pytest.raises(ZeroDivisionError), store.transaction():
        run = store.submit(planned())
        replace_file(store.snapshot(run, 60), b"a stranger's")
        print(1 / 0)
    assert store.submit(planned()) == run and store.snapshot_steps(run) == []


def test_an_ensemble_is_trained_again_as_a_whole(store):
    store.submit_all([ensemble(TEACHER)], "first")
    list(taken(store))
    store.submit_all([ensemble(TEACHER)], "second", again=True)
    assert list(taken(store)) == ["member 0", "member 1", "ensemble"]


def test_a_baseline_that_was_trained_under_another_name_is_the_baseline(store):
    def named(name, title, published):
        return {**planned(title, "b", method={"name": name, "title": title}), "published": published}

    before = store.submit(named("custom", "My labels", False))
    for other in (named("slander", "Not a paper's", False), named("labels_only", "Labels only", True)):
        after = store.run(store.ensure(other, owner="somebody"))
        assert (after["id"], after["title"]) == (before, "My labels"), "another one's run keeps its name"
    after = store.run(store.ensure(named("labels_only", "Labels only", True)))
    assert (after["id"], after["method"], after["title"]) == (before, "labels_only", "Labels only")


def test_what_is_asked_for_while_it_is_asked_to_stop_goes_on_and_so_does_its_paused_teacher(store):
    run = store.submit(planned("student", "s", TEACHER))
    store.queue.pause([store.run(run)["teacher"]])
    assert store.ensure(planned("student", "s", TEACHER)) == run
    teacher = store.queue.claim(1)
    assert teacher["role"] == "teacher"
    store.queue.stop([teacher["id"]])
    store.ensure(planned("student", "s", TEACHER))
    assert store.heartbeat(teacher["id"], teacher["claim"]) == ""


def test_what_somebody_imported_is_found_by_nobody_else(store):
    ended = {"state": "done", "message": "", "step": 10, "created": 0.0, "started": None, "finished": None}
    forged, fresh = store.admit(planned("forged", "f"), ended, "imported", None, [], "bob")
    assert fresh and store.find("f", "bob")["id"] == forged and store.find("f", "ada") is None
    assert store.ensure(planned("mine", "f"), "hers", "ada") != forged
    assert store.ensure(planned("mine", "f"), "his", "bob") == forged


def test_what_others_list_is_shared(store):
    run = store.submit_all([planned("a", "a")], "ada's", owner="ada")[0]
    assert store.shared([run], "ada") == set()
    store.submit_all([planned("a", "a")], "bob's", owner="bob")
    assert store.shared([run], "ada") == {run} == store.shared([run], "bob")
    store.bin.delete_experiment("bob's")
    assert store.shared([run], "ada") == set() and store.run(run)


def test_a_role_that_has_no_place_waits_and_the_next_run_comes(store):
    ensemble, other = submitted(store, "ensemble", "run")
    with store.transaction() as db:
        db.execute("UPDATE runs SET role = 'ensemble' WHERE id = ?", (ensemble,))
    assert store.queue.claim(1, without="ensemble")["id"] == other
    assert store.queue.claim(1, without="ensemble") is None and store.queue.claim(1)["id"] == ensemble


def jump(monkeypatch, seconds):
    real = time.time
    monkeypatch.setattr(queue.time, "time", lambda: real() + seconds)


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("hours", [1, -1])
def test_whatever_the_clock_does_the_silent_are_taken_over_and_no_one_else(store, monkeypatch, hours, alive):
    monkeypatch.setattr(queue, "CONFIRM_SECONDS", 0.2)
    submitted(store, "run")
    row = store.queue.claim(1)
    jump(monkeypatch, 3600 * hours)
    assert store.queue.claim(1) is None, "it looks silent, and is watched"
    time.sleep(0.25)
    if alive:
        store.heartbeat(row["id"], row["claim"])
    taken = store.queue.claim(1)
    assert (taken and taken["claim"]) == (None if alive else row["claim"] + 1)
    assert [row["id"] for row in store.queue.alive()] == [row["id"]]


def test_a_run_that_is_silent_but_ours_is_left_alone(store, monkeypatch):
    monkeypatch.setattr(queue, "CONFIRM_SECONDS", 0.0)
    submitted(store, "run")
    row = store.queue.claim(1)
    silence(store, row["id"])
    assert store.queue.claim(1, mine=[row["id"]]) is None
    assert store.queue.claim(1)["id"] == row["id"]


def test_what_was_deleted_is_not_taken_and_waits_again_when_it_is_had_back(store):
    one, two = submitted(store, "one", "two")
    store.bin.delete(one)
    assert list(taken(store)) == ["two"]
    store.bin.undelete(store.bin.deleted()[0]["deleted"])
    assert list(taken(store)) == ["one"]


def test_an_experiment_is_queued_whole_or_not_at_all(store):
    runs = [planned("good", "1"), planned("bad", "2", obstacle="There are no such images.")]
    with pytest.raises(UserError, match="no such images"):
        store.submit_all(runs, "mine")
    assert store.runs() == [] and store.experiments() == []


def test_what_was_trained_before_is_not_trained_again_unless_asked(store):
    first = store.submit_all([planned("one", "1", TEACHER)], "first")
    assert list(taken(store)) == ["teacher", "one"]
    second = store.submit_all([planned("other name", "1", TEACHER), planned("two", "2", TEACHER)], "second")
    assert second[0] == first[0] and list(taken(store)) == ["two"]
    assert {row["name"] for row in store.runs("second")} == {"teacher", "one", "two"}
    again = store.submit_all([planned("one", "1", TEACHER)], "third", again=True)
    assert again != first and list(taken(store)) == ["one"]
