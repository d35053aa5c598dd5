"""The web side: a torch-free process, and an inspector that it asks, and starts anew when it is gone."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import inspector_link
from app.inspector_link import ROOT, InspectorLink
from kdcore.errors import UserError

WEB_SIDE = """
import importlib, pkgutil, sys
import app, app.components
for package in (app, app.components):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name != "app.main":  # it draws a page
            importlib.import_module(module.name)
import app.engine
app.engine.store().runs()
found = sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "torchvision", "captum", "sklearn"))
sys.exit(f"the web process imports {found[:3]}" if found else 0)
"""


def test_the_web_side_imports_no_torch():
    ended = subprocess.run([sys.executable, "-c", WEB_SIDE], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A link, and the processes that it started, the newest last."""
    processes, real = [], subprocess.Popen

    def start(*arguments, **named):
        processes.append(real(*arguments, **named))
        return processes[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspector_link.subprocess, "Popen", start)
        yield InspectorLink(tmp_path_factory.mktemp("store")), processes
    for process in processes:
        process.kill()
        process.wait()


def test_it_answers_with_plain_data(started):
    link, processes = started
    assert link.ask("present")["digits"] == 1.0
    assert set(link.ask("catalogue")) >= {"methods", "terms", "networks", "data"}
    assert len(link.ask("demo", seed=4, seeds=2)["runs"]) == 6
    assert len(processes) == 1


def test_a_question_that_cannot_be_answered_is_a_sentence(started):
    link, processes = started
    with pytest.raises(UserError, match=r"^There is no run 99; it may have been deleted\.$"):
        link.ask("image", run=99, index=0)
    with pytest.raises(UserError, match="'steps' is missing|'run' is missing"):
        link.ask("plan", content={"methods": []})
    assert link.ask("device")["device"] and len(processes) == 1


def test_an_unforeseen_error_is_one_line_and_the_next_question_is_answered(started, capfd):
    link, processes = started
    with pytest.raises(UserError, match="This could not be computed: ") as caught:
        link.ask("maps", networks=[], kind="full_jacobian", index=0)
    assert "\n" not in str(caught.value) and "Traceback" in capfd.readouterr().err
    assert link.ask("device")["device"] and len(processes) == 1


def test_sessions_share_it(started):
    link, _ = started
    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(lambda seed: link.ask("demo", seed=seed, seeds=1), range(12)))
    assert [plan["runs"][0]["config"]["seed"] for plan in plans] == list(range(12))


def test_a_killed_inspector_is_started_anew(started):
    link, processes = started
    link.ask("device")
    processes[-1].kill()
    processes[-1].wait()
    count = len(processes)
    assert link.ask("present")["digits"] == 1.0
    assert len(processes) == count + 1


def test_an_inspector_killed_while_it_computes_is_asked_again(started):
    link, processes = started
    link.ask("device")
    asked, count = processes[-1], len(processes)
    threading.Timer(0.3, asked.kill).start()
    run = {"data": {"name": "digits"}, "network": {"name": "conv_student", "initial": "he"}, "batch_size": 1000}
    found = link.ask("estimate", content={"run": run, "methods": [], "seeds": [0]})
    assert [one["seconds"] > 0 for one in found["each"]] == [True]
    asked.wait()
    assert link.ask("device")["device"] and len(processes) == count + 1


def test_an_inspector_that_cannot_start_is_a_sentence(tmp_path, monkeypatch):
    """Out of memory, or a broken installation: the page says so instead of waiting for ever."""
    real, sentences = subprocess.Popen, []
    monkeypatch.setattr(inspector_link.subprocess, "Popen",
                        lambda command, **named: real([sys.executable, "-c", "raise SystemExit(1)"], **named))

    def ask():
        try:
            InspectorLink(tmp_path).ask("device")
        except UserError as error:
            sentences.append(str(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert sentences and "\n" not in sentences[0]
