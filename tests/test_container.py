"""What Dockerfile, .dockerignore and compose.yaml say, carried out without Docker: a copy of the tree, its command."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from kdcore.store import Store

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
NOBODY = 65534


def lines(instruction):
    return re.findall(rf"^ *{instruction} +(.*)$", DOCKERFILE, flags=re.MULTILINE)


ENVIRONMENT = dict(pair.split("=", 1) for pair in " ".join(lines("ENV")).split())
COMMAND = json.loads(lines("CMD")[-1])
HEALTH = json.loads(re.search(r"HEALTHCHECK.*?CMD (\[.*)", DOCKERFILE)[1])


def let_through(path: str) -> bool:
    """Whether .dockerignore lets a file into the image: the last line that matches it or a folder above it decides."""
    kept, above = True, [path, *map(str, Path(path).parents)][:-1]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        deep = [pattern, pattern.removeprefix("**/"), f"*/{pattern.removeprefix('**/')}"] if "**/" in pattern else [
            pattern]
        if line and not line.startswith("#") and any(
                fnmatch(part, one) and ("**/" in pattern or part.count("/") == one.count("/"))
                for part in above for one in deep):
            kept = line.startswith("!")
    return kept


def may_hold_some(folder: str) -> bool:
    """Whether anything below a folder can be let through."""
    return let_through(folder) or f"\n!{folder}/" in (ROOT / ".dockerignore").read_text()


@pytest.fixture
def image(tmp_path):
    """A folder with what the image has; all that a user other than root may write to is `data` and app/static."""
    for folder, folders, names in os.walk(ROOT):
        inside = Path(folder).relative_to(ROOT)
        folders[:] = [name for name in folders if may_hold_some(str(inside / name))]
        for name in names:
            if let_through(str(inside / name)):
                (tmp_path / "app" / inside).mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(folder, name), tmp_path / "app" / inside / name)
    (tmp_path / "app" / "app" / "static").mkdir()
    (tmp_path / "data").mkdir()
    return tmp_path


def test_the_image_has_the_app_and_nothing_else(image):
    there = {str(path.relative_to(image / "app")) for path in (image / "app").rglob("*") if path.is_file()}
    assert {"app/main.py", "kdcore/worker.py", "pages/start.py", ".streamlit/config.toml", "requirements.txt"} <= there
    assert {str(path.relative_to(ROOT)) for part in ("app", "kdcore", "pages") for path in (ROOT / part).rglob("*.py")
            } <= there
    assert not [name for name in there if name.startswith(("tests", "docs", ".git", "app/static"))
                or "__pycache__" in name or "secrets" in name]


def test_nothing_runs_as_root_and_all_that_is_kept_lies_in_the_volume():
    instructions = re.findall(r"^(\w+) ", DOCKERFILE, flags=re.MULTILINE)
    assert instructions.index("USER") < instructions.index("CMD") and lines("USER") == ["apprentice"]
    (volume,), (port,) = lines("VOLUME"), lines("EXPOSE")
    assert all(Path(ENVIRONMENT[name]).is_relative_to(volume) for name in ("KD_DATA", "KD_STORE"))
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["apprentice"]
    assert service["volumes"] == [f"apprentice:{volume}"] and port == ENVIRONMENT["STREAMLIT_SERVER_PORT"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_what_is_installed_is_all_but_the_tests(tmp_path):
    (command,) = re.findall(r"sed '.*?' requirements.txt", DOCKERFILE)
    left = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "torch>=" in left and "streamlit" in left and "optuna" in left and "pytest" not in left


def somebody(image) -> list[str]:
    """What makes a command one of a user who may read Python and the tree, but write only where the image says so."""
    if os.getuid() or not shutil.which("setpriv"):
        return []
    for place in (image / "data", image / "app" / "app" / "static"):
        os.chown(place, NOBODY, NOBODY)
    reads = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]  # Python may lie in somebody's home
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reads]


def test_the_app_and_its_worker_start_as_the_image_has_it(image):
    """The web server answers on every address, the worker waits for runs, and both can write what they have to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {name: value.replace("/data", str(image / "data")) for name, value in ENVIRONMENT.items()} | {
        "PATH": path, "HOME": str(image / "data"), "STREAMLIT_SERVER_PORT": str(port)}
    who = somebody(image)
    container = subprocess.Popen([*who, *COMMAND], cwd=image / "app", env=environment, start_new_session=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: not subprocess.run(HEALTH, env=environment, capture_output=True).returncode)
        store = Path(environment["KD_STORE"])
        wait_for(lambda: (store / "store.sqlite").exists() and Store(store).queue.workers())
        listening = Path("/proc/net/tcp").read_text().upper().split()
        assert f"00000000:{port:04X}" in listening, "on 127.0.0.1 nobody outside of the container would see it"
        assert not who or store.stat().st_uid == NOBODY
        container.terminate()  # as `docker stop` does, which kills what is there ten seconds later
        container.wait(timeout=60)
        assert not Store(store).queue.workers(), "the worker was told to end, and did"
        wait_for(lambda: not of_group(container.pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(container.pid, signal.SIGKILL)
    said = container.communicate()[0]
    assert "Traceback" not in said and "URL:" in said, said


def of_group(number: int) -> list[str]:
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if int(line.split()[0]) == number and line.split()[1][0] != "Z"]


def wait_for(happens) -> None:
    last = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < last
        time.sleep(0.2)
