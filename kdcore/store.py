"""The store: runs, metrics and events in one SQLite file, snapshots as files beside it. No torch.

A run is claimed by one process at a time (`queue`). Each claim has a number, and a write that carries an older one is
refused, so that a process which was taken for dead cannot write into a run that another one continues.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

from kdcore.bin import STARTS, Bin
from kdcore.database import FIELDS, Database, marks
from kdcore.errors import StaleClaim, UserError
from kdcore.notes import checked
from kdcore.places import replace_file, store_folder
from kdcore.queue import Queue

_SPACED = """
WITH RECURSIVE ticks(at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM ticks WHERE at < :most)
SELECT DISTINCT m.run, m.step, m.value FROM ticks JOIN metrics m ON m.run = :run AND m.name = :name AND m.step =
    (SELECT MAX(step) FROM metrics WHERE run = :run AND name = :name AND step <= :last * at / :most) ORDER BY m.step"""
ENDED = ("done", "failed", "stopped")
TRACKED = ("tensorboard", "mlflow")  # folders with one for each run that is tracked


class Store:
    """Runs and what they recorded, in one folder; `queue` says whose turn it is, `bin` holds what was deleted.

    Raises UserError where the folder cannot be used, or was written by a newer version of the project.
    """

    def __init__(self, folder: Path | str | None = None):
        self.folder = Path(folder) if folder else store_folder()
        self._database = Database(self.folder / "store.sqlite")
        self._read, self.transaction = self._database.read, self._database.write
        self.queue = Queue(self._database)
        self.bin = Bin(self._database, self.queue, self._remove)

    def submit(self, planned: dict, experiment: str = "", owner: str = "", anew: dict[str, int] | None = None) -> int:
        """Queue a planned run (`RunConfig.planned()`) and return its id.

        Its teacher and its parts (an ensemble's students) are queued before it unless they are there; where `anew` is
        given, which holds those that were, the parts are queued anew too. Raises UserError where any of those to be
        queued cannot be trained; none is queued then.
        """
        if anew and planned["hash"] in anew:
            return anew[planned["hash"]]
        if reason := self.obstacle(planned, owner):
            raise UserError(reason)
        with self.transaction() as db:
            teacher = self.ensure(planned["teacher"], experiment, owner) if planned["teacher"] else None
            parts = [self.ensure(part, experiment, owner) if anew is None else
                     self.submit(part, experiment, owner, anew) for part in planned["parts"]]
            run = self._insert(db, planned, experiment, owner, teacher, parts)
        if anew is not None:
            anew[planned["hash"]] = run
        return run

    def _insert(self, db: sqlite3.Connection, planned: dict, experiment: str, owner: str, teacher: int | None,
                parts: list[int]) -> int:
        config, method = planned["config"], planned["config"]["method"]
        role = "member" if config["member"] is not None else "ensemble" if parts else (
            "student" if teacher else "teacher")
        run = db.execute(
            "INSERT INTO runs (name, experiment, role, method, title, seed, config, hash, teacher, threads, steps, "
            "created, owner, expected, place) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "COALESCE(MAX(place), 0) + 1 FROM runs",
            (config["name"], experiment, role, method["name"], method["title"], config["seed"], json.dumps(config),
             planned["hash"], teacher, config["threads"], config["steps"], time.time(), owner,
             planned.get("expected"))).lastrowid
        db.executemany("INSERT INTO members VALUES (?, ?)", [(run, part) for part in parts])
        self._remove(run)  # files of a number that was given before and taken back
        self._list(experiment, run, owner)
        return run

    def ensure(self, planned: dict, experiment: str = "", owner: str = "") -> int:
        """The run with this configuration, which the experiment lists too; queued where none is done, waits or runs.

        One that paused, was asked to, or waits for what did, goes on. One's own run that has a paper's method under
        another name gets this one.
        """
        with self.transaction() as db:  # so that no other process queues it at the same moment
            found = self.find(planned["hash"], owner)
            if not found:
                return self.submit(planned, experiment, owner)
            needed = self.queue.with_needed([found["id"]])
            for run in needed:
                self._list(experiment, run, owner)
            if found["state"] != "done":
                self.queue.restart(needed)
            method = planned["config"]["method"]
            if planned.get("published") and found["method"] != method["name"] and found["owner"] == owner:
                db.execute("UPDATE runs SET method = ?, title = ?, name = ? WHERE id = ?",
                           (method["name"], method["title"], planned["config"]["name"], found["id"]))
        return found["id"]

    def submit_all(self, planned: list[dict], experiment: str, owner: str = "", content: dict | None = None,
                   again: bool = False) -> list[int]:
        """Queue an experiment's planned runs, all or none; those that are there are not trained twice, unless `again`.

        `content` is how the experiment was made.
        """
        with self.transaction() as db:
            db.execute("INSERT INTO experiments (name, owner, created, content) VALUES (?, ?, ?, ?) ON CONFLICT (name) "
                       "DO UPDATE SET owner = excluded.owner, created = excluded.created, content = excluded.content, "
                       "deleted = NULL", (experiment, owner, time.time(), json.dumps(content or {})))
            anew: dict[str, int] = {}
            return [self.submit(run, experiment, owner, anew) if again else self.ensure(run, experiment, owner)
                    for run in planned]

    def admit(self, planned: dict, ended: dict, experiment: str, teacher: int | None, parts: list[int],
              owner: str = "") -> tuple[int, bool]:
        """List a run that ended elsewhere; returns its number here, and whether it is new: it may be done here too.

        `ended` has its "state", "message", "step", "created", "started" and "finished".
        """
        if (found := self.find(planned["hash"], owner)) and found["state"] == "done":
            self._list(experiment, found["id"], owner)
            return found["id"], False
        with self.transaction() as db:
            run = self._insert(db, planned, experiment, owner, teacher, parts)
            db.execute("UPDATE runs SET state = :state, message = :message, step = :step, created = :created, "
                       "started = :started, finished = :finished, imported = 1 WHERE id = :run", {**ended, "run": run})
        return run, True

    def take(self, run: int, step: int, file: Path) -> None:
        """Make a file of this file system the run's snapshot at a step."""
        self.snapshot(run, step).parent.mkdir(parents=True, exist_ok=True)
        file.replace(self.snapshot(run, step))

    def record(self, run: int, metrics: list[tuple[int, str, float]], events: list[tuple[int, float, str]]) -> None:
        """Keep what a run recorded elsewhere: (step, name, value) and (step, at, text)."""
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO metrics (run, step, name, value) VALUES (?, ?, ?, ?)",
                           [(run, *row) for row in metrics])
            db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, 0)", [(run, *row) for row in events])

    def _list(self, experiment: str, run: int, owner: str) -> None:
        if experiment:
            with self.transaction() as db:
                db.execute("INSERT INTO experiments (name, owner, created) VALUES (?, ?, ?) ON CONFLICT (name) "
                           "DO UPDATE SET deleted = NULL", (experiment, owner, time.time()))
                db.execute("INSERT OR IGNORE INTO contents VALUES (?, ?)", (experiment, run))

    def obstacle(self, planned: dict, owner: str = "") -> str:
        """Why a planned run cannot be trained, or what has to be trained before it; empty where it can."""
        needed = [run for run in (planned["teacher"], *planned["parts"]) if run and not self.find(run["hash"], owner)]
        return planned["obstacle"] or next(filter(None, (self.obstacle(run, owner) for run in needed)), "")

    def parts(self, run: int) -> list[int]:
        """The runs that a run is made of, see `RunConfig.parts`."""
        return [row["member"] for row in self._read("SELECT member FROM members WHERE run = ? ORDER BY member", (run,))]

    def find(self, hash: str, owner: str = "") -> dict | None:
        """The run with this configuration that is done, else the newest that waits or runs.

        Not what others have imported: nobody here saw it trained.
        """
        rows = self._read(f"SELECT {FIELDS} FROM present WHERE hash = ? AND state IN ('queued', 'paused', 'running', "
                          "'done') AND (NOT imported OR owner = ?) ORDER BY state = 'done' DESC, id DESC LIMIT 1",
                          (hash, owner))
        return rows[0] if rows else None

    def run(self, run: int) -> dict:
        """One run. Raises UserError where there is none of this id."""
        rows = self.runs(ids=[run])
        if not rows:
            raise UserError(f"There is no run {run}; it may have been deleted.")
        return rows[0]

    def runs(self, experiment: str | None = None, ids: list[int] | None = None) -> list[dict]:
        """Runs, newest first: all, those of an experiment, or those of the given ids."""
        where, values = "", []
        if ids is not None:
            where, values = f"WHERE id IN ({marks(ids)})", ids
        elif experiment is not None:
            where, values = "WHERE id IN (SELECT run FROM contents WHERE experiment = ?)", [experiment]
        return self._read(f"SELECT {FIELDS} FROM present {where} ORDER BY id DESC", values)

    def experiments(self, owner: str | None = None) -> list[str]:
        """Names of the experiments, newest first: all, or one person's."""
        rows = self._read("SELECT e.name FROM experiments e WHERE e.deleted IS NULL AND EXISTS (SELECT 1 FROM "
                          "contents c JOIN present r ON r.id = c.run WHERE c.experiment = e.name) "
                          "AND (:owner IS NULL OR e.owner = :owner) ORDER BY e.created DESC, e.rowid DESC",
                          {"owner": owner})
        return [row["name"] for row in rows]

    def experiment(self, name: str) -> dict:
        """{"name", "owner", "created", "content" how it was made, as data, "note", "tags"}.

        Raises UserError where there is none.
        """
        rows = self._read("SELECT name, owner, created, content, note, tags FROM experiments WHERE name = ? "
                          "AND deleted IS NULL", (name,))
        if not rows:
            raise UserError(f"There is no experiment {name!r} in {self.folder}.")
        return {**rows[0], "content": json.loads(rows[0]["content"] or "{}")}

    def describe(self, name: str, content: dict) -> None:
        """Keep another account of how an experiment is made."""
        with self.transaction() as db:
            db.execute("UPDATE experiments SET content = ? WHERE name = ?", (json.dumps(content), name))

    def shared(self, ids: list[int], owner: str) -> set[int]:
        """Those of the runs that an experiment of somebody else lists."""
        return {row["run"] for row in self._read(
            "SELECT c.run FROM contents c JOIN experiments e ON e.name = c.experiment WHERE e.deleted IS NULL AND "
            f"e.owner != ? AND c.run IN ({marks(ids)})", [owner, *ids])}

    def searches(self) -> dict[str, int]:
        """Searches that are not finished and have no run that waits or was stopped: {name: how many of its runs have
        ended}.
        """
        rows = self._read("SELECT e.name, SUM(r.state IN ('done', 'failed', 'stopped')) AS ended FROM experiments e "
                          "JOIN contents c ON c.experiment = e.name JOIN present r ON r.id = c.run "
                          "WHERE e.deleted IS NULL AND CASE WHEN json_valid(e.content) THEN json_extract(e.content, "
                          "'$.search') IS NOT NULL AND json_extract(e.content, '$.finished') IS NULL END GROUP BY 1 "
                          "HAVING NOT SUM(r.state IN ('queued', 'paused', 'stopped'))")
        return {row["name"]: row["ended"] for row in rows}

    def add(self, planned: list[dict], experiment: str, owner: str = "") -> str:
        """Queue planned runs, all or none, beside what an experiment of the owner's lists already; returns its name.

        Runs that are there are not trained twice. How the experiment was made stays as it was told. A name that is
        another person's, or a deleted experiment's, gets a number behind it.
        """
        with self.transaction() as db:
            taken = {row["name"]: row for row in self._read("SELECT name, owner, deleted FROM experiments")}
            name = next(name for name in chain([experiment], (f"{experiment} ({number})" for number in count(2)))
                        if name not in taken or (taken[name]["owner"], taken[name]["deleted"]) == (owner, None))
            if name not in taken:
                db.execute("INSERT INTO experiments (name, owner, created, content) VALUES (?, ?, ?, '{}')",
                           (name, owner, time.time()))
            for run in planned:
                self.ensure(run, name, owner)
        return name

    def free_name(self, wanted: str) -> str:
        """The name for a new experiment: the wanted one, with a number behind it where it is taken."""
        taken = {row["name"] for row in self._read("SELECT name FROM experiments")}
        return next(name for name in chain([wanted], (f"{wanted} ({number})" for number in count(2)))
                    if name not in taken)

    def curves(self, ids: list[int], name: str, most: int | None = None) -> dict[int, tuple[list[int], list[float]]]:
        """One metric of several runs: {run: (steps, values)}; runs that never recorded it are absent.

        Of a curve with more than `most` points about so many are given, evenly spaced, the first and the last included.
        """
        spans = self._read("SELECT run, COUNT(*) AS points, MAX(step) AS last FROM metrics WHERE run IN "
                           f"({marks(ids)}) AND name = ? GROUP BY run", [*ids, name])
        long = [span for span in spans if most and span["points"] > most]
        short = [span["run"] for span in spans if span not in long]
        rows = self._read(f"SELECT run, step, value FROM metrics WHERE run IN ({marks(short)}) AND name = ? "
                          "ORDER BY run, step", [*short, name])
        for span in long:
            rows += self._read(_SPACED, {**span, "name": name, "most": most})
        curves: dict[int, tuple[list[int], list[float]]] = {}
        for row in rows:
            steps, values = curves.setdefault(row["run"], ([], []))
            steps.append(row["step"])
            values.append(row["value"])
        return curves

    def metrics(self, ids: list[int]) -> list[tuple]:
        """All that runs recorded: (run, step, name, value), in this order."""
        rows = self._read(f"SELECT run, step, name, value FROM metrics WHERE run IN ({marks(ids)}) "
                          "ORDER BY run, step, name", ids)
        return [tuple(row.values()) for row in rows]

    def metric_names(self, ids: list[int]) -> list[str]:
        """Names of all metrics that any of the runs recorded."""
        rows = self._read(  # from name to name in the index: a plain DISTINCT would read every point
            "WITH RECURSIVE found(run, name) AS (SELECT id, (SELECT MIN(name) FROM metrics WHERE run = id) FROM runs "
            f"WHERE id IN ({marks(ids)}) UNION ALL SELECT run, (SELECT MIN(m.name) FROM metrics m WHERE m.run = "
            "found.run AND m.name > found.name) FROM found WHERE name IS NOT NULL) "
            "SELECT DISTINCT name FROM found WHERE name IS NOT NULL ORDER BY name", ids)
        return [row["name"] for row in rows]

    def summary(self, ids: list[int], name: str = "accuracy") -> dict[int, dict]:
        """{run: {"best", "last", "seconds"}} of one metric that is better when larger."""
        rows = self._read(
            f"SELECT m.run, MAX(m.value) AS best, (SELECT value FROM metrics l WHERE l.run = m.run AND l.name = m.name "
            "ORDER BY step DESC LIMIT 1) AS last, (SELECT value FROM metrics s WHERE s.run = m.run AND "
            f"s.name = 'seconds' ORDER BY step DESC LIMIT 1) AS seconds FROM metrics m WHERE m.run IN ({marks(ids)}) "
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
        with self.transaction() as db:
            db.execute("UPDATE runs SET name = ? WHERE id = ?", (name, run))

    def annotate(self, run: int, note: str, tags: str) -> None:
        """Write a note and tags beside a run, in place of those that it had; see `notes.checked`."""
        told = checked(note, tags)
        with self.transaction() as db:
            db.execute("UPDATE runs SET note = ?, tags = ? WHERE id = ?", (*told, run))

    def annotate_experiment(self, name: str, note: str, tags: str) -> None:
        """The same of an experiment."""
        told = checked(note, tags)
        with self.transaction() as db:
            db.execute("UPDATE experiments SET note = ?, tags = ? WHERE name = ?", (*told, name))

    def tagged(self) -> dict[str, set[str]]:
        """{tag: names of the experiments that have it, or list a run that has it}, by tag."""
        rows = self._read("SELECT name, tags FROM experiments WHERE tags != '' AND deleted IS NULL UNION SELECT "
                          "c.experiment, r.tags FROM contents c JOIN present r ON r.id = c.run WHERE r.tags != ''")
        found: dict[str, set[str]] = {}
        for row in rows:
            for tag in row["tags"].split():
                found.setdefault(tag, set()).add(row["name"])
        return dict(sorted(found.items()))

    def heartbeat(self, run: int, claim: int) -> str:
        """Say that the claim is alive. Returns the state in which the run is asked to end, empty where it is not."""
        with self.transaction() as db:
            row = db.execute("UPDATE runs SET heartbeat = ? WHERE id = ? AND claim = ? AND state = 'running' "
                             "RETURNING wish", (time.time(), run, claim)).fetchone()
        if row is None:
            raise StaleClaim(f"Run {run} is no longer this process's.")
        return row["wish"]

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
        for stray in self._place(run).glob("**/*.*"):  # of a process that was killed while it wrote: see `replacing`
            if stray.suffix[1:].isdigit():
                stray.unlink(missing_ok=True)

    def finish(self, run: int, claim: int, state: str, message: str = "") -> None:
        """End a run as "done", "stopped" or "failed", with the reason in words, or as "paused"."""
        with self._own(run, claim) as db:
            if state in ("paused", "stopped"):  # it may have been asked for something else since it saw the wish
                wish = db.execute("SELECT wish FROM runs WHERE id = ?", (run,)).fetchone()["wish"]
                state = wish or ("queued" if state == "paused" else state)
            db.execute("UPDATE runs SET state = ?, message = ?, finished = ?, wish = '' WHERE id = ?",
                       (state, message, time.time() if state in ENDED else None, run))

    def release(self, run: int, claim: int, text: str, died: bool = True) -> None:
        """Put a run whose process ended back into the queue; it continues from its resume point.

        One that was asked to stop or pause does.
        """
        with self._own(run, claim) as db:
            db.execute("INSERT INTO events SELECT id, step, ?, ?, 1 FROM runs WHERE id = ?", (time.time(), text, run))
            db.execute("UPDATE runs SET state = COALESCE(NULLIF(wish, ''), 'queued'), wish = '', deaths = deaths + ?, "
                       "finished = IIF(wish = 'stopped', ?, NULL) WHERE id = ?", (died, time.time(), run))

    def snapshot_steps(self, run: int) -> list[int]:
        """Steps of which the run's weights are kept."""
        return sorted(int(path.stem) for path in self._place(run).glob("snapshots/*.pt") if path.stem.isdigit())

    def snapshot(self, run: int, step: int) -> Path:
        """File of the run's weights at a step."""
        return self._place(run) / "snapshots" / f"{step}.pt"

    def sizes(self, runs: list[int]) -> dict[int, int]:
        """Bytes on disk of each run's files."""
        return {run: sum(map(_bytes, self._places(run))) for run in runs}

    def size(self) -> int:
        """Bytes on disk of all runs' files."""
        return sum(_bytes(self.folder / name) for name in ("runs", *TRACKED))

    def thin(self, runs: list[int], keep: int) -> None:
        """Keep `keep` snapshots, two or more, of each run that is done, the first and the last among them.

        And those that a run which has not ended starts from.
        """
        needed = {(start["run"], start["step"]) for start in self._read(STARTS)}
        for row in self.runs(ids=runs):
            steps = self.snapshot_steps(row["id"])
            kept = {step for step in steps if (row["id"], step) in needed}
            kept |= {steps[round(i * (len(steps) - 1) / (keep - 1))] for i in range(keep)} if steps else set()
            for step in steps if row["state"] == "done" else ():
                if step not in kept:
                    self.snapshot(row["id"], step).unlink(missing_ok=True)

    def resume_point(self, run: int) -> Path:
        """File of all that is needed to continue the run."""
        return self._place(run) / "resume.pt"

    def _places(self, run: int) -> list[Path]:
        return [self._place(run), *(self.folder / name / str(int(run)) for name in TRACKED)]

    def _remove(self, run: int) -> None:
        for place in self._places(run):
            shutil.rmtree(place, ignore_errors=True)

    def _place(self, run: int) -> Path:
        return self.folder / "runs" / str(int(run))

    @contextmanager
    def _own(self, run: int, claim: int) -> Iterator[sqlite3.Connection]:
        with self.transaction() as db:
            if not db.execute("SELECT 1 FROM runs WHERE id = ? AND claim = ? AND state = 'running'",
                              (run, claim)).fetchone():
                raise StaleClaim(f"Run {run} is no longer this process's.")
            yield db


def _bytes(folder: Path) -> int:
    """Bytes of the files in a folder, in which others may be writing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
