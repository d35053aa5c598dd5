"""The command line: results on stdout, one sentence for every mistake on stderr, and a store that keeps what it had."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from kdcore import train, worker
from kdcore.__main__ import main
from kdcore.catalogue import catalogue
from kdcore.data.sources import SOURCES
from kdcore.knowledge import TERMS
from kdcore.methods import METHODS
from kdcore.store import Store
from tests.test_store import planned

TEACHER = {"data": {"name": "digits"}, "network": {"name": "fc_teacher", "width": 0.02, "initial": "he"},
           "optimiser": {"learning_rate": 3e-3}, "steps": 20, "evaluations": 1, "device": "cpu"}
RUN = {"data": {"name": "digits", "per_class": 1}, "network": {"name": "fc_student", "width": 0.02, "initial": "he"},
       "steps": 6, "evaluations": 2, "device": "cpu"}
TAUGHT = {**RUN, "teacher": TEACHER, "method": "full_jacobian"}


@pytest.fixture
def cli(capsys):
    """Run a line in this process: (exit status, stdout, stderr)."""
    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def config(tmp_path):
    """Write a configuration and return its file."""
    def write(content):
        file = tmp_path / "config.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    return write


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """A machine on which no image set lies."""
    monkeypatch.setenv("KD_DATA", str(tmp_path / "empty"))


def assert_one_sentence(answer, *parts):
    status, out, err = answer
    assert (status, out) == (2, "")
    assert err.startswith("kdcore: ") and err.endswith(".\n") and err.count("\n") == 1
    assert "Traceback" not in err
    assert all(part in err for part in parts), err


def test_methods_are_listed_with_their_papers(cli):
    status, out, _ = cli("methods")
    assert status == 0
    listed, rest = out.split("\nTerms, of which methods are made:\n")
    terms, optimisers = rest.split("\nOptimisers of the papers:\n")
    assert "Yim et al. 2017, fast: SGD at 0.1, times 0.1 after 52%, 76% of it" in optimisers
    heads, kinds = ({line.split("  (")[0]: line for line in part.splitlines() if line and not line.startswith(" ")}
                    for part in (listed, terms))
    assert list(heads) == list(METHODS) and list(kinds) == list(TERMS)
    for name, method in METHODS.items():
        assert method.paper in heads[name] and method.equations in heads[name] and method.sentence in listed
    for kind, term in TERMS.items():
        assert term.paper in kinds[kind] and term.equation in kinds[kind] and term.sentence in terms
        assert all(f"    {name}, by default " in terms for name in term.model_fields if name != "kind")


def test_the_whole_catalogue_is_json(cli):
    status, out, _ = cli("methods", "--json")
    assert status == 0 and json.loads(out) == json.loads(json.dumps(catalogue()))


def test_training_ends_with_one_json_line(cli, config, store_folder):
    status, out, err = cli("train", config(TAUGHT))
    assert status == 0 and out.count("\n") == 1 and "Traceback" not in err
    result, store = json.loads(out), Store(store_folder)
    assert (result["state"], result["steps"], result["name"]) == ("done", 6, "Full Jacobian · seed 0")
    assert result["test_accuracy"] == store.summary([result["run"]])[result["run"]]["last"]
    assert 0 <= result["test_accuracy"] <= result["best_test_accuracy"] <= 1 and result["seconds"] > 0
    assert result["metrics"]["knowledge.full_jacobian"] > 0
    assert [row["state"] for row in store.runs()] == ["done", "done"]


def test_a_teacher_that_is_there_is_not_trained_again(cli, config, store_folder, monkeypatch):
    trained = []
    real = worker.execute
    monkeypatch.setattr("kdcore.foreground.execute", lambda store, row: trained.append(row["role"]) or real(store, row))
    for method in ("full_jacobian", "summed_jacobian"):
        assert cli("train", config({**TAUGHT, "method": method}))[0] == 0
    assert trained == ["teacher", "student", "student"]
    assert len({row["teacher"] for row in Store(store_folder).runs() if row["role"] == "student"}) == 1


def test_an_interrupted_line_goes_on_where_it_was(cli, config, store_folder, monkeypatch):
    """As the message says: the same line continues the same run."""
    monkeypatch.setattr(train, "RESUME_SECONDS", -1.0)
    append = Store.append

    def interrupted(store, run, claim, step, values):
        if step >= 4:
            raise KeyboardInterrupt
        append(store, run, claim, step, values)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", interrupted)
        status, out, err = cli("train", config(RUN))
    assert (status, out) == (130, "") and "kdcore: interrupted; the same line goes on where it was." in err
    assert cli("train", config(RUN))[0] == 0
    assert [(row["state"], row["claim"]) for row in Store(store_folder).runs()] == [("done", 2)]


def test_a_run_or_an_experiment_is_stopped_and_deleted(cli, store_folder):
    store = Store(store_folder)
    first, second = store.submit_all([planned("one", "1"), planned("two", "2")], "mine")
    assert cli("stop", first) == (0, f"{first} stops, and keeps what it has.\n", "")
    assert [store.run(run)["state"] for run in (first, second)] == ["stopped", "queued"]
    assert cli("stop", "mine")[0] == 0 and store.run(second)["state"] == "stopped"
    assert cli("delete", first)[0] == 0 and [row["id"] for row in store.runs()] == [second]
    assert cli("delete", "mine")[0] == 0 and store.runs() == [] and len(store.bin.deleted()) == 2
    assert_one_sentence(cli("stop", "nothing"), "There is no experiment 'nothing'")
    assert_one_sentence(cli("delete", 99), "was deleted already")


def test_the_store_can_be_named(cli, config, tmp_path, store_folder):
    assert cli("train", config(RUN), "--store", tmp_path / "elsewhere")[0] == 0
    assert len(Store(tmp_path / "elsewhere").runs()) == 1 and not store_folder.exists()


def changed(**changes):
    return {**RUN, **changes}


MISTAKES = {
    "an unknown method": (changed(method="full_jacobean"), ["full_jacobean", "did you mean 'full_jacobian'"]),
    "an unknown network": (changed(network={"name": "resnet"}), ["'resnet'", "fc_student"]),
    "an unknown image set": (changed(data={"name": "minst"}), ["'minst'", "mnist"]),
    "an unknown field": (changed(step=5), ["'step' is not a field", "did you mean 'steps'"]),
    "no steps": (changed(steps=-1), ["steps must be at least 0"]),
    "a word for a number": (changed(batch_size="many"), ["batch_size", "many"]),
    "more images than there are": (changed(data={"name": "digits", "images": 5000}), ["1297", "5000"]),
    "a learning rate that is no number": (
        json.dumps(RUN)[:-1] + ', "optimiser": {"learning_rate": NaN}}', ["learning_rate"]),
    "no network": ({"data": {"name": "digits"}}, ["'network' is missing"]),
    "a method without its teacher": (changed(method="full_jacobian"), ["it needs a teacher, and this run has none"]),
    "something that is not JSON": ("steps: 5", ["not JSON", "line 1"]),
    "an empty file": ("", ["not JSON"]),
    "a list": ("[]", ["[]"]),
    "an unknown device": (changed(device="abacus"), ["'abacus'", "cpu"]),
}


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if name != "an unknown device"])
def test_a_mistake_is_a_sentence_and_the_store_keeps_what_it_had(cli, config, store_folder, mistake):
    assert cli("train", config(RUN))[0] == 0
    before = Store(store_folder).runs()
    content, parts = MISTAKES[mistake]
    assert_one_sentence(cli("train", config(content)), *parts)
    assert Store(store_folder).runs() == before


def test_a_run_that_fails_is_a_sentence(cli, config, store_folder):
    content, parts = MISTAKES["an unknown device"]
    status, out, err = cli("train", config(content))
    assert (status, out) == (2, "") and "Traceback" not in err
    assert all(part in err.splitlines()[-1] for part in ["Labels only · seed 0 failed: ", *parts])
    assert [row["state"] for row in Store(store_folder).runs()] == ["failed"]


def test_a_file_that_cannot_be_read_is_a_sentence(cli, tmp_path):
    (tmp_path / "latin.json").write_bytes(b"\xe9\xff")
    for name in ("missing.json", ".", "latin.json"):
        assert_one_sentence(cli("train", tmp_path / name), name, "cannot be read")


def test_a_store_that_cannot_be_used_is_a_sentence(cli, config, tmp_path):
    (tmp_path / "file").write_text("text")
    assert_one_sentence(cli("train", config(RUN), "--store", tmp_path / "file"), "cannot be used", "KD_STORE")


def test_image_sets_are_listed(cli, no_data):
    status, out, _ = cli("data")
    assert status == 0
    listed = {line.split()[0]: line for line in out.splitlines()}
    assert list(listed) == list(SOURCES)
    assert "on this machine" in listed["digits"] and "not here yet" in listed["mnist"]


def test_an_unknown_image_set_is_a_sentence(cli):
    assert_one_sentence(cli("data", "nonsense"), "'nonsense'", *SOURCES)


@pytest.mark.parametrize("error", [OSError("[Errno -3] Temporary failure in name resolution"),
                                   RuntimeError("Error downloading train-images-idx3-ubyte.gz")])
def test_a_download_without_a_connection_is_a_sentence(cli, no_data, monkeypatch, error):
    def fetch():
        raise error

    monkeypatch.setitem(SOURCES, "mnist", replace(SOURCES["mnist"], fetch=fetch))
    assert_one_sentence(cli("data", "mnist"), "MNIST could not be downloaded", "connection to the internet")


def test_a_set_that_is_here_is_not_downloaded_again(cli):
    status, out, _ = cli("data", "digits")
    assert status == 0 and out.startswith("Digits is in ")


def test_an_unknown_table_or_budget_is_a_sentence(cli):
    assert_one_sentence(cli("reproduce", "nonsense"), "'nonsense'", "ehmann-samek-1", "ehmann-samek-3")
    assert_one_sentence(cli("reproduce", "ehmann-samek-1", "--budget", "lavish"), "'lavish'", "quick", "paper")


def test_a_table_without_its_images_is_a_sentence(cli, no_data, store_folder, tmp_path):
    answer = cli("reproduce", "ehmann-samek-1", "--out", tmp_path / "reports")
    assert_one_sentence(answer, "python -m kdcore data mnist")
    assert Store(store_folder).runs() == [] and not (tmp_path / "reports").exists()


@pytest.mark.parametrize("command", [[], ["methods"], ["train"], ["reproduce"], ["data"], ["worker"]])
def test_help_is_there(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert "python -m kdcore" in capsys.readouterr().out


def test_the_help_names_every_command_and_both_folders(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(word in out for word in ("methods", "train", "reproduce", "data", "KD_DATA", "KD_STORE"))


def shell(*arguments, text=None):
    return subprocess.run([sys.executable, "-m", "kdcore", *arguments], input=text, capture_output=True, text=True,
                          cwd=worker.ROOT)


def test_from_a_shell_a_mistake_is_one_sentence_and_status_2(tmp_path):
    (tmp_path / "file").write_text("text")
    ended = shell("worker", "--store", str(tmp_path / "file"))
    assert_one_sentence((ended.returncode, ended.stdout, ended.stderr), "cannot be used", "KD_STORE")


def test_from_a_shell_a_configuration_is_read_from_standard_input(store_folder):
    ended = shell("train", "-", text=json.dumps(RUN))
    assert ended.returncode == 0 and "Traceback" not in ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["state"] == "done"
    assert len(Store(store_folder).runs()) == 1


def test_a_pipe_that_is_closed_early_is_no_error():
    """As by `head`."""
    command = f"{sys.executable} -m kdcore methods --json | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=worker.ROOT)
    assert len(done.stdout) == 10 and "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
