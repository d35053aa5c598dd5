"""A class on one server: fifty runs, two at a time, while thirty sessions look on."""

import asyncio
import os
import signal
import statistics
import threading
import time
from pathlib import Path

import pytest
import websockets
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from kdcore.config import read
from kdcore.store import Store
from tests.browser.server import Server
from tests.test_worker import RUN, TEACHER, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.heavy]
RUNS, SESSIONS = 50, 30
ENDED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
MOST_MEGABYTES, MOST_SECONDS = 400, 5  # of the web process, and for an update: about 245, and 1.5 on two cores


class Session:
    """What a browser's tab says to the server and hears of it, without the drawing, which needs cores of its own."""

    def __init__(self, server):
        self.server, self.faults, self.opened, self.updates = server, [], None, []

    async def look(self, page, over):
        """Open a page and let it update itself until `over` is set."""
        url = self.server.url
        async with websockets.connect(f"{url.replace('http', 'ws')}/_stcore/stream", subprotocols=["streamlit"],
                                      origin=url, max_size=None) as link:
            asked, again = await self._ask(link, page), None
            while not over.is_set():
                try:
                    heard = ForwardMsg.FromString(await asyncio.wait_for(link.recv(), 1))
                except TimeoutError:
                    continue
                match heard.WhichOneof("type"):
                    case "auto_rerun":
                        again = heard.auto_rerun
                    case "delta" if heard.delta.new_element.WhichOneof("type") == "exception":
                        self.faults.append(heard.delta.new_element.exception.message)
                    case "script_finished" if heard.script_finished in ENDED:
                        seconds = time.monotonic() - asked
                        self.updates += [seconds] if self.opened else []
                        self.opened = self.opened or seconds
                        if again:
                            await asyncio.sleep(again.interval)
                            asked = await self._ask(link, page, again.fragment_id)

    async def _ask(self, link, page, fragment=""):
        said = BackMsg()
        said.rerun_script.page_name, said.rerun_script.fragment_id = page, fragment
        said.rerun_script.is_auto_rerun = bool(fragment)
        await link.send(said.SerializeToString())
        return time.monotonic()


@pytest.fixture
def server(tmp_path, browser):
    (tmp_path / "settings.toml").write_text("slots = 2")
    running = Server(tmp_path)
    running.start()
    yield running
    running.kill()
    store = Store(tmp_path)
    store.queue.stop([row["id"] for row in store.queue.line()])
    for worker in store.queue.workers():
        os.kill(worker["pid"], signal.SIGTERM)


def megabytes(pid):
    """What a process holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def test_fifty_runs_end_while_thirty_sessions_look_on(server, page):
    store, over = Store(server.store), threading.Event()
    runs = store.submit_all([read({**RUN, "steps": 2000, "teacher": TEACHER, "method": method, "seed": seed}).planned()
                             for seed in range(RUNS // 2) for method in ("labels_only", "soft_targets")], "a class")
    page.goto("/runs")
    sessions = [Session(server) for _ in range(SESSIONS)]

    async def all_look():
        await asyncio.gather(*(session.look("runs", over) for session in sessions))

    looking, began = threading.Thread(target=asyncio.run, args=(all_look(),)), time.monotonic()
    looking.start()

    def ended():
        states = [row["state"] for row in store.runs(ids=runs)]
        assert states.count("running") <= 2
        return states.count("done") == RUNS

    try:
        wait_for(ended, seconds=600)
        seconds, most = time.monotonic() - began, megabytes(server.process.pid)
        expect(page.get_by_text("waiting", exact=False)).to_have_count(0, timeout=60_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
    finally:
        over.set()
        looking.join()
    updates = [update for session in sessions for update in session.updates]
    print(f"\n{RUNS} runs in {seconds:.0f} s beside {SESSIONS} sessions: opened within "
          f"{max(session.opened for session in sessions):.1f} s, all at once; {len(updates)} updates, the median in "
          f"{statistics.median(updates):.1f} s; {most:.0f} MB")
    assert all(len(session.updates) > seconds / 10 for session in sessions), "some were cut off"
    assert not [fault for session in sessions for fault in session.faults]
    assert statistics.median(updates) < MOST_SECONDS and most < MOST_MEGABYTES
    curves = store.curves(runs, "accuracy")
    assert len(curves) == RUNS and all(len(steps) == len(set(steps)) for steps, _ in curves.values())
