"""The store: runs, metrics and events in one SQLite file, snapshots as files beside it. No torch.

A run is claimed by one process at a time. Each claim has a number, and a write that carries an older one is refused,
so that a process which was taken for dead cannot write into a run that another one continues.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kdcore.errors import StaleClaim, UserError
from kdcore.places import replace_file, store_folder

VERSION = 2
STALE_SECONDS = 15.0
DEATHS = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, experiment TEXT NOT NULL, role TEXT NOT NULL,
    method TEXT NOT NULL, title TEXT NOT NULL, seed INTEGER NOT NULL, config TEXT NOT NULL, hash TEXT NOT NULL,
    teacher INTEGER REFERENCES runs(id), state TEXT NOT NULL DEFAULT 'queued', message TEXT NOT NULL DEFAULT '',
    claim INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0, heartbeat REAL NOT NULL DEFAULT 0,
    stopping INTEGER NOT NULL DEFAULT 0, threads INTEGER NOT NULL, step INTEGER NOT NULL DEFAULT 0,
    steps INTEGER NOT NULL, created REAL NOT NULL, started REAL, finished REAL);
CREATE INDEX IF NOT EXISTS runs_by_hash ON runs(hash);
CREATE INDEX IF NOT EXISTS runs_by_state ON runs(state);
CREATE INDEX IF NOT EXISTS runs_by_experiment ON runs(experiment);
CREATE TABLE IF NOT EXISTS members (
    run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, member INTEGER NOT NULL REFERENCES runs(id),
    PRIMARY KEY (run, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics (
    run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, name TEXT NOT NULL, step INTEGER NOT NULL,
    value REAL, PRIMARY KEY (run, name, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, step INTEGER NOT NULL, at REAL NOT NULL,
    text TEXT NOT NULL, lasting INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_run ON events(run);
CREATE TABLE IF NOT EXISTS workers (
    pid INTEGER PRIMARY KEY, heartbeat REAL NOT NULL, device TEXT NOT NULL, slots INTEGER NOT NULL);
"""
_FIELDS = ("id, name, experiment, role, method, title, seed, config, hash, teacher, state, message, claim, stopping, "
           "threads, step, steps, created, started, finished")


class Store:
    """Runs and what they recorded, in one folder.

    Raises UserError where the folder cannot be used, or was written by a newer version of the project.
    """

    def __init__(self, folder: Path | str | None = None):
        self.folder = Path(folder) if folder else store_folder()
        self._local = threading.local()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.DatabaseError) as error:
            raise UserError(f"The store in {self.folder} cannot be used ({error}); set KD_STORE to another folder, "
                            "or move this one away.") from error

    def submit(self, planned: dict, experiment: str = "") -> int:
        """Queue a planned run (`RunConfig.planned()`) and return its id.

        Its teacher and its parts (an ensemble's students) are queued before it unless they are there. Raises UserError
        where any of those to be queued cannot be trained; none is queued then.
        """
        if reason := self.obstacle(planned):
            raise UserError(reason)
        teacher = self.ensure(planned["teacher"], experiment) if planned["teacher"] else None
        parts = [self.ensure(part, experiment) for part in planned["parts"]]
        config, method = planned["config"], planned["config"]["method"]
        role = "member" if config["member"] is not None else "ensemble" if parts else (
            "student" if teacher else "teacher")
        with self._write() as db:
            run = db.execute(
                "INSERT INTO runs (name, experiment, role, method, title, seed, config, hash, teacher, threads, steps, "
                "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (config["name"], experiment, role, method["name"], method["title"], config["seed"], json.dumps(config),
                 planned["hash"], teacher, config["threads"], config["steps"], time.time())).lastrowid
            db.executemany("INSERT INTO members VALUES (?, ?)", [(run, part) for part in parts])
        return run

    def ensure(self, planned: dict, experiment: str = "") -> int:
        """The run with this configuration; it is queued where there is none that is done, waits or runs."""
        found = self.find(planned["hash"])
        return found["id"] if found else self.submit(planned, experiment)

    def obstacle(self, planned: dict) -> str:
        """Why a planned run cannot be trained, or what has to be trained before it; empty where it can."""
        needed = [run for run in (planned["teacher"], *planned["parts"]) if run and not self.find(run["hash"])]
        return planned["obstacle"] or next(filter(None, map(self.obstacle, needed)), "")

    def parts(self, run: int) -> list[int]:
        """The runs that a run is made of, see `RunConfig.parts`."""
        return [row["member"] for row in self._read("SELECT member FROM members WHERE run = ? ORDER BY member", (run,))]

    def find(self, hash: str) -> dict | None:
        """The run with this configuration that is done, else the newest that waits or runs."""
        rows = self._read(f"SELECT {_FIELDS} FROM runs WHERE hash = ? AND state IN ('queued', 'running', 'done') "
                          "ORDER BY state = 'done' DESC, id DESC LIMIT 1", (hash,))
        return rows[0] if rows else None

    def restart(self, run: int) -> None:
        """Queue a run that failed or was stopped once more, and its teacher and parts where those did.

        Each continues if it can.
        """
        runs = [run, self.run(run)["teacher"], *self.parts(run)]
        with self._write() as db:
            db.execute("UPDATE runs SET state = 'queued', message = '', stopping = 0, deaths = 0, finished = NULL "
                       f"WHERE id IN ({_marks(runs)}) AND state IN ('failed', 'stopped')", runs)

    def run(self, run: int) -> dict:
        """One run. Raises UserError where there is none of this id."""
        rows = self._read(f"SELECT {_FIELDS} FROM runs WHERE id = ?", (run,))
        if not rows:
            raise UserError(f"There is no run {run}; it may have been deleted.")
        return rows[0]

    def runs(self, experiment: str | None = None, ids: list[int] | None = None) -> list[dict]:
        """Runs, newest first: all, those of an experiment, or those of the given ids."""
        if ids is not None:
            return self._read(f"SELECT {_FIELDS} FROM runs WHERE id IN ({_marks(ids)}) ORDER BY id DESC", ids)
        where, values = ("WHERE experiment = ?", (experiment,)) if experiment is not None else ("", ())
        return self._read(f"SELECT {_FIELDS} FROM runs {where} ORDER BY id DESC", values)

    def experiments(self) -> list[str]:
        """Names of the experiments, newest first."""
        rows = self._read("SELECT experiment FROM runs WHERE experiment != '' GROUP BY experiment "
                          "ORDER BY MAX(id) DESC")
        return [row["experiment"] for row in rows]

    def curves(self, ids: list[int], name: str) -> dict[int, tuple[list[int], list[float]]]:
        """One metric of several runs: {run: (steps, values)}; runs that never recorded it are absent."""
        rows = self._read(f"SELECT run, step, value FROM metrics WHERE run IN ({_marks(ids)}) AND name = ? "
                          "ORDER BY run, step", [*ids, name])
        curves: dict[int, tuple[list[int], list[float]]] = {}
        for row in rows:
            steps, values = curves.setdefault(row["run"], ([], []))
            steps.append(row["step"])
            values.append(row["value"])
        return curves

    def metric_names(self, ids: list[int]) -> list[str]:
        """Names of all metrics that any of the runs recorded."""
        rows = self._read(f"SELECT DISTINCT name FROM metrics WHERE run IN ({_marks(ids)}) ORDER BY name", ids)
        return [row["name"] for row in rows]

    def summary(self, ids: list[int], name: str = "accuracy") -> dict[int, dict]:
        """{run: {"best", "last", "seconds"}} of one metric that is better when larger."""
        rows = self._read(
            f"SELECT m.run, MAX(m.value) AS best, (SELECT value FROM metrics l WHERE l.run = m.run AND l.name = m.name "
            "ORDER BY step DESC LIMIT 1) AS last, (SELECT value FROM metrics s WHERE s.run = m.run AND "
            f"s.name = 'seconds' ORDER BY step DESC LIMIT 1) AS seconds FROM metrics m WHERE m.run IN ({_marks(ids)}) "
            "AND m.name = ? GROUP BY m.run", [*ids, name])
        return {row.pop("run"): row for row in rows}

    def events(self, run: int) -> list[dict]:
        """What happened to a run, in words, oldest first."""
        return self._read("SELECT step, at, text FROM events WHERE run = ? ORDER BY rowid", (run,))

    def rename(self, run: int, name: str) -> None:
        """Give a run another name. It is shown as written: no mark-up, no path."""
        name = " ".join(name.split())[:120]
        if not name:
            raise UserError("A run needs a name of at least one letter.")
        with self._write() as db:
            db.execute("UPDATE runs SET name = ? WHERE id = ?", (name, run))

    def stop(self, run: int) -> None:
        """Ask a run to stop; it keeps what it has. A run that waits, or whose process is gone, stops at once."""
        with self._write() as db:
            db.execute("UPDATE runs SET stopping = 1 WHERE id = ? AND state = 'running'", (run,))
            db.execute("UPDATE runs SET state = 'stopped', finished = :now WHERE id = :run AND (state = 'queued' OR "
                       "(state = 'running' AND heartbeat < :stale))",
                       {"now": time.time(), "run": run, "stale": time.time() - STALE_SECONDS})

    def delete(self, run: int) -> None:
        """Delete a run, its metrics and its files. Raises UserError where it still runs or students need it."""
        with self._write() as db:
            students = db.execute("SELECT COUNT(*) FROM runs WHERE teacher = ?", (run,)).fetchone()[0]
            if students:
                raise UserError(f"{students} students learnt from this teacher; delete them first.")
            if db.execute("SELECT 1 FROM members WHERE member = ?", (run,)).fetchone():
                raise UserError("An ensemble, or another student of it, is made of this run; delete that one first.")
            if not db.execute("DELETE FROM runs WHERE id = ? AND state != 'running'", (run,)).rowcount:
                raise UserError("This run is still running, or was deleted already; stop it first.")
        shutil.rmtree(self._place(run), ignore_errors=True)

    def claim(self, threads: float, run: int | None = None, mine: Iterable[int] = ()) -> dict | None:
        """Take the next run that waits, fits into `threads` CPU threads and has its teacher and parts, or the one
        asked for.

        A run whose process gave no sign of life for 15 seconds is taken over, unless it is one of `mine`: a machine
        that was asleep has not lost its processes. Returns None where there is none.
        """
        now, mine = time.time(), list(mine)
        lost = f"(r.state = 'running' AND r.heartbeat < {now - STALE_SECONDS} AND r.id NOT IN ({_marks(mine)}))"
        with self._write() as db:
            self._give_up(db, now, lost, mine)
            row = db.execute(
                "UPDATE runs SET deaths = deaths + (state = 'running'), state = 'running', claim = claim + 1, "
                "heartbeat = ?, started = COALESCE(started, ?) WHERE id = (SELECT r.id FROM runs r LEFT JOIN runs t "
                f"ON r.teacher = t.id WHERE (r.state = 'queued' OR {lost}) AND (t.id IS NULL OR t.state = 'done') "
                "AND NOT EXISTS (SELECT 1 FROM members m JOIN runs o ON o.id = m.member WHERE m.run = r.id "
                "AND o.state != 'done') "
                f"AND r.threads <= ? AND (? IS NULL OR r.id = ?) ORDER BY r.id LIMIT 1) RETURNING {_FIELDS}",
                (now, now, *mine, threads, run, run)).fetchone()
        return dict(row) if row else None

    def _give_up(self, db: sqlite3.Connection, now: float, lost: str, mine: list[int]) -> None:
        db.execute("UPDATE runs SET state = 'failed', finished = ?, message = 'Its teacher did not finish; start it "
                   "again to train a new one.' WHERE state = 'queued' AND teacher IN "
                   "(SELECT id FROM runs WHERE state IN ('failed', 'stopped'))", (now,))
        db.execute("UPDATE runs SET state = 'failed', finished = ?, message = 'A run that it is made of did not "
                   "finish; start it again to go on with both.' WHERE state = 'queued' AND id IN (SELECT m.run "
                   "FROM members m JOIN runs o ON o.id = m.member WHERE o.state IN ('failed', 'stopped'))", (now,))
        db.execute("UPDATE runs AS r SET state = 'failed', finished = ?, message = ? WHERE deaths >= ? AND "
                   f"(state = 'queued' OR {lost})",
                   (now, f"Its process died {DEATHS} times without getting any further; was the memory enough? Lower "
                    "the batch size or the width, or match projections, and start it again.", DEATHS, *mine))

    def heartbeat(self, run: int, claim: int) -> bool:
        """Say that the claim is alive. Returns whether the run is asked to stop."""
        with self._write() as db:
            row = db.execute("UPDATE runs SET heartbeat = ? WHERE id = ? AND claim = ? AND state = 'running' "
                             "RETURNING stopping", (time.time(), run, claim)).fetchone()
        if row is None:
            raise StaleClaim(f"Run {run} is no longer this process's.")
        return bool(row["stopping"])

    def append(self, run: int, claim: int, step: int, values: dict[str, float]) -> None:
        """Record the metrics of one step. Raises StaleClaim where the run is another process's by now."""
        with self._own(run, claim) as db:
            db.executemany("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)",
                           [(run, name, step, value) for name, value in values.items()])
            db.execute("UPDATE runs SET step = ?, heartbeat = ? WHERE id = ?", (step, time.time(), run))

    def note(self, run: int, claim: int, step: int, text: str) -> None:
        """Record an event in words."""
        with self._own(run, claim) as db:
            db.execute("INSERT INTO events VALUES (?, ?, ?, ?, 0)", (run, step, time.time(), text))

    def progress(self, run: int, claim: int, step: int) -> None:
        """Record how far the run is."""
        with self._own(run, claim) as db:
            db.execute("UPDATE runs SET step = ? WHERE id = ?", (step, run))

    def saved(self, run: int, claim: int) -> None:
        """A resume point is kept: the run has got further, and deaths before it no longer count."""
        with self._own(run, claim) as db:
            db.execute("UPDATE runs SET deaths = 0 WHERE id = ?", (run,))

    def adopt(self, run: int, claim: int, source: int, until: int) -> None:
        """Begin a run with what another one recorded and kept up to a step."""
        for step in self.snapshot_steps(source):
            if step <= until:
                replace_file(self.snapshot(run, step), self.snapshot(source, step).read_bytes())
        with self._own(run, claim) as db:
            db.execute("INSERT OR REPLACE INTO metrics SELECT ?, name, step, value FROM metrics WHERE run = ? "
                       "AND step <= ?", (run, source, until))
            db.execute("UPDATE runs SET step = ? WHERE id = ?", (until, run))

    def withdraw(self, run: int, claim: int, after: int) -> None:
        """Take back what was recorded after a step, except how the process died: the run continues from there."""
        with self._own(run, claim) as db:
            db.execute("DELETE FROM metrics WHERE run = ? AND step > ?", (run, after))
            db.execute("DELETE FROM events WHERE run = ? AND step > ? AND NOT lasting", (run, after))
            db.execute("UPDATE runs SET step = MAX(?, 0) WHERE id = ?", (after, run))

    def finish(self, run: int, claim: int, state: str, message: str = "") -> None:
        """End a run as "done", "stopped" or "failed", with the reason in words."""
        with self._own(run, claim) as db:
            db.execute("UPDATE runs SET state = ?, message = ?, finished = ? WHERE id = ?",
                       (state, message, time.time(), run))

    def release(self, run: int, claim: int, text: str, died: bool = True) -> None:
        """Put a run whose process ended back into the queue; it continues from its resume point."""
        with self._own(run, claim) as db:
            db.execute("INSERT INTO events SELECT id, step, ?, ?, 1 FROM runs WHERE id = ?", (time.time(), text, run))
            db.execute("UPDATE runs SET state = 'queued', deaths = deaths + ? WHERE id = ?", (died, run))

    def threads_in_use(self) -> int:
        """CPU threads of the runs that give signs of life."""
        rows = self._read("SELECT COALESCE(SUM(threads), 0) AS threads FROM runs WHERE state = 'running' "
                          "AND heartbeat >= ?", (time.time() - STALE_SECONDS,))
        return rows[0]["threads"]

    def greet(self, pid: int, device: str, slots: int) -> None:
        """Register a worker, or renew its sign of life."""
        with self._write() as db:
            db.execute("DELETE FROM workers WHERE heartbeat < ?", (time.time() - STALE_SECONDS,))
            db.execute("INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)", (pid, time.time(), device, slots))

    def part(self, pid: int) -> None:
        """Remove a worker that ends."""
        with self._write() as db:
            db.execute("DELETE FROM workers WHERE pid = ?", (pid,))

    def workers(self) -> list[dict]:
        """Workers that gave a sign of life within 15 seconds."""
        return self._read("SELECT * FROM workers WHERE heartbeat >= ?", (time.time() - STALE_SECONDS,))

    def snapshot_steps(self, run: int) -> list[int]:
        """Steps of which the run's weights are kept."""
        return sorted(int(path.stem) for path in self._place(run).glob("snapshots/*.pt") if path.stem.isdigit())

    def snapshot(self, run: int, step: int) -> Path:
        """File of the run's weights at a step."""
        return self._place(run) / "snapshots" / f"{step}.pt"

    def resume_point(self, run: int) -> Path:
        """File of all that is needed to continue the run."""
        return self._place(run) / "resume.pt"

    def _place(self, run: int) -> Path:
        return self.folder / "runs" / str(int(run))

    def _prepare(self) -> None:
        db = self._connection()
        _switch_to_wal(db)
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version < VERSION:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
        if version > VERSION:
            raise UserError(f"The store in {self.folder} was written by a newer version of Apprentice (its format is "
                            f"{version}, this one reads {VERSION}); update Apprentice, or set KD_STORE to another "
                            "folder. Nothing was changed.")

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "db"):
            db = sqlite3.connect(self.folder / "store.sqlite", timeout=30, isolation_level=None)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            self._local.db = db
        return self._local.db

    def _read(self, query: str, values=()) -> list[dict]:
        return [dict(row) for row in self._connection().execute(query, values)]

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    @contextmanager
    def _own(self, run: int, claim: int) -> Iterator[sqlite3.Connection]:
        with self._write() as db:
            if not db.execute("SELECT 1 FROM runs WHERE id = ? AND claim = ? AND state = 'running'",
                              (run, claim)).fetchone():
                raise StaleClaim(f"Run {run} is no longer this process's.")
            yield db


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """The switch does not wait for another process that is making the same store, so it is tried for some seconds."""
    for _ in range(100):
        with suppress(sqlite3.OperationalError):
            db.execute("PRAGMA journal_mode = WAL")
            return
        time.sleep(0.05)
    db.execute("PRAGMA journal_mode = WAL")


def _marks(values: Sequence) -> str:
    return ", ".join("?" * len(values))
