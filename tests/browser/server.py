"""A Streamlit server of one's own: what tests, benchmarks and the README's pictures look at in a browser."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from kdcore.store import Store

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Server:
    """`streamlit run app/main.py`, exactly as the README has it, on a free port."""

    def __init__(self, store: Path, **environment: str):
        self.store, self.environment = store, environment
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start it and return the seconds until it answers."""
        began = time.monotonic()
        environment = {**os.environ, "KD_STORE": str(self.store), "STREAMLIT_SERVER_PORT": str(self.port),
                       "STREAMLIT_SERVER_HEADLESS": "true", **self.environment}
        self.process = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "app/main.py"], cwd=ROOT,
                                        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1)
                return time.monotonic() - began
            except OSError:
                assert self.process.poll() is None, "the app ended at its start"
                assert time.monotonic() - began < 60, "the app did not answer within a minute"
                time.sleep(0.1)

    def kill(self) -> None:
        """End the web process at once; workers and runs are not its children's business."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """End all of it, the worker too."""
        self.kill()
        for worker in Store(self.store).queue.workers():
            os.kill(worker["pid"], signal.SIGTERM)
