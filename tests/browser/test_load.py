"""A class on one server: fifty runs, two at a time, while thirty browsers look on."""

import time
from pathlib import Path

import pytest

from kdcore.config import read
from kdcore.store import Store
from tests.browser.conftest import Server
from tests.test_worker import RUN, TEACHER, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.heavy]
RUNS, BROWSERS = 50, 30
MOST_MEGABYTES = 400  # of the web process; about 200 with thirty browsers
CHART = "() => (document.querySelector('.apprentice-chart')?.data ?? []).some(line => line.x?.length)"


@pytest.fixture
def server(tmp_path, browser):
    (tmp_path / "settings.toml").write_text("slots = 2")
    running = Server(tmp_path)
    running.start()
    yield running
    running.kill()


def megabytes(pid):
    """What a process holds in memory that is its own or shared."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def test_fifty_runs_end_while_thirty_browsers_look_on(server, browser):
    store = Store(server.store)
    before = megabytes(server.process.pid)
    runs = store.submit_all([read({**RUN, "steps": 2000, "teacher": TEACHER, "method": method, "seed": seed}).planned()
                             for seed in range(RUNS // 2) for method in ("labels_only", "soft_targets")], "a class")
    contexts = [browser.new_context(base_url=server.url) for _ in range(BROWSERS)]
    pages, began, waited = [], time.monotonic(), []
    for context in contexts:
        pages.append(context.new_page())
        asked = time.monotonic()
        pages[-1].goto("/runs")
        pages[-1].wait_for_function(CHART, timeout=60_000)
        waited.append(time.monotonic() - asked)
        print(len(pages), round(waited[-1], 1), round(megabytes(server.process.pid)), sum(r["state"] == "done" for r in store.runs()), flush=True)
        assert sum(row["state"] == "running" for row in store.runs(ids=runs)) <= 2
    opened, most = time.monotonic() - began, megabytes(server.process.pid)
    wait_for(lambda: all(row["state"] == "done" for row in store.runs(ids=runs)), seconds=600)
    ended, most = time.monotonic() - began, max(most, megabytes(server.process.pid))
    for page in pages:
        assert page.locator("[data-testid=stException]").count() == 0
    print(f"\n{RUNS} runs in {ended:.0f} s beside {BROWSERS} browsers, opened in {opened:.0f} s, the slowest within "
          f"{max(waited):.1f} s; the web process took {before:.0f} MB before and {most:.0f} at most")
    assert most < MOST_MEGABYTES
    curves = store.curves(runs, "accuracy")
    assert len(curves) == RUNS and all(len(steps) == len(set(steps)) for steps, _ in curves.values())
    for context in contexts:
        context.close()
