"""The queue: whose turn it is, who executes what, and who gave up.

A run's process gives a sign of life every second. One that has been silent for 15 seconds by the clock, and is still
silent three seconds after this process noticed by its own, is taken for dead: a clock that jumps kills nobody.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from kdcore.database import FIELDS, Database, marks
from kdcore.errors import UserError

STALE_SECONDS = 15.0
CONFIRM_SECONDS = 3.0
DEATHS = 5
PRIORITIES = {1: "high", 0: "normal", -1: "low"}
WAITING = ("queued", "paused")


class Queue:
    """The runs of a store that wait, and the workers that take them."""

    def __init__(self, database: Database):
        self._database = database
        self._suspects: dict[int, tuple[float, float]] = {}  # run: the last sign of life, and when we noticed

    def claim(self, threads: float, run: int | None = None, mine: Iterable[int] = (), without: str = "") -> dict | None:
        """Take the next run that waits, fits into `threads` CPU threads and has its teacher and parts, or the one
        asked for, and return it; None where there is none.

        Whoever has the fewest runs going comes first, then who has waited longest for a turn; of one owner's runs the
        highest priority, then the first place. A run whose process is dead is taken over, unless it is one of `mine`:
        a machine that was asleep has not lost its processes. Runs of the role `without` are left to wait.
        """
        now, mine = time.time(), list(mine)
        if not self._database.read("SELECT 1 FROM present WHERE state = 'queued' OR (state = 'running' AND "
                                   f"id NOT IN ({marks(mine)})) LIMIT 1", mine):
            return None  # without keeping others from writing
        with self._database.write() as db:
            dead = self._dead(db, now, mine)
            waits = f"((r.state = 'queued' OR r.id IN ({marks(dead)})) AND r.id NOT IN ({marks(mine)}))"
            dead = [*dead, *mine]
            self._give_up(db, now, waits, dead)
            found = db.execute(
                "WITH busy AS (SELECT owner, COUNT(*) AS going FROM present WHERE state = 'running' GROUP BY owner) "
                "SELECT r.id, r.owner FROM present r LEFT JOIN runs t ON r.teacher = t.id "
                "LEFT JOIN busy ON busy.owner = r.owner LEFT JOIN turns ON turns.owner = r.owner "
                f"WHERE {waits} AND (t.id IS NULL OR t.state = 'done') AND NOT EXISTS (SELECT 1 FROM members m "
                "JOIN runs o ON o.id = m.member WHERE m.run = r.id AND o.state != 'done') "
                "AND r.threads <= ? AND (? IS NULL OR r.id = ?) AND r.role != ? ORDER BY COALESCE(busy.going, 0), "
                "COALESCE(turns.turn, 0), r.priority DESC, r.place LIMIT 1",
                (*dead, threads, run, run, without)).fetchone()
            if found is None:
                return None
            db.execute("INSERT OR REPLACE INTO turns SELECT ?, COALESCE(MAX(turn), 0) + 1 FROM turns",
                       (found["owner"],))
            return dict(db.execute(
                "UPDATE runs SET deaths = deaths + (state = 'running'), state = 'running', claim = claim + 1, "
                f"heartbeat = ?, started = COALESCE(started, ?) WHERE id = ? RETURNING {FIELDS}",
                (now, now, found["id"])).fetchone())

    def _dead(self, db: sqlite3.Connection, now: float, mine: list[int]) -> list[int]:
        silent = {row["id"]: row["heartbeat"] for row in db.execute(
            "SELECT id, heartbeat FROM runs WHERE state = 'running' AND ABS(? - heartbeat) > ? "
            f"AND id NOT IN ({marks(mine)})", (now, STALE_SECONDS, *mine))}
        noticed = time.monotonic()
        self._suspects = {run: self._suspects[run] if self._suspects.get(run, (None,))[0] == sign else (sign, noticed)
                          for run, sign in silent.items()}
        return [run for run, (_, since) in self._suspects.items() if noticed - since >= CONFIRM_SECONDS]

    def _give_up(self, db: sqlite3.Connection, now: float, waits: str, dead: list[int]) -> None:
        gone = "SELECT id FROM runs WHERE state IN ('failed', 'stopped') OR deleted IS NOT NULL"
        db.execute("UPDATE runs SET state = 'failed', finished = ?, message = 'Its teacher did not finish; start it "
                   f"again to train a new one.' WHERE state IN ({marks(WAITING)}) AND deleted IS NULL AND teacher IN "
                   f"({gone})",
                   (now, *WAITING))
        db.execute("UPDATE runs SET state = 'failed', finished = ?, message = 'A run that it is made of did not "
                   f"finish; start it again to go on with both.' WHERE state IN ({marks(WAITING)}) AND deleted IS NULL "
                   "AND id IN "
                   f"(SELECT run FROM members WHERE member IN ({gone}))", (now, *WAITING))
        db.execute("UPDATE runs AS r SET state = 'failed', finished = ?, message = ? WHERE deaths >= ? AND deleted IS "
                   f"NULL AND {waits}",
                   (now, f"Its process died {DEATHS} times without getting any further; was the memory enough? Lower "
                    "the batch size or the width, or match projections, and start it again.", DEATHS, *dead))

    def stop(self, runs: Iterable[int]) -> None:
        """Ask runs to stop; each keeps what it has. One that waits, or whose process is gone, stops at once."""
        self._end(list(runs), "stopped", time.time())

    def pause(self, runs: Iterable[int]) -> None:
        """Ask runs to wait until they are started again; each goes on where it was. One that waits pauses at once."""
        self._end(list(runs), "paused", None)

    def _end(self, runs: list[int], state: str, finished: float | None) -> None:
        with self._database.write() as db:
            db.execute(f"UPDATE runs SET wish = ? WHERE id IN ({marks(runs)}) AND state = 'running'", (state, *runs))
            db.execute(f"UPDATE runs SET state = ?, finished = ? WHERE id IN ({marks(runs)}) AND (state IN "
                       f"({marks(WAITING)}) OR (state = 'running' AND ABS(? - heartbeat) > ?))",
                       (state, finished, *runs, *WAITING, time.time(), STALE_SECONDS))

    def restart(self, runs: Iterable[int]) -> None:
        """Queue runs once more that failed, were stopped or paused, and their teachers and parts where those were.

        Each continues if it can. One that is asked to pause or stop and has not yet goes on.
        """
        runs = list(runs)
        with self._database.write() as db:
            needed = self.with_needed(runs)
            db.execute("UPDATE runs SET state = 'queued', message = '', wish = '', deaths = 0, finished = NULL "
                       f"WHERE id IN ({marks(needed)}) AND state IN ('failed', 'stopped', 'paused')", needed)
            db.execute(f"UPDATE runs SET wish = '' WHERE id IN ({marks(needed)}) AND state = 'running'", needed)

    def prioritise(self, runs: Iterable[int], priority: int) -> None:
        """Let runs be taken before those of a lower priority, and what they wait for as early as they."""
        if priority not in PRIORITIES:
            raise UserError(f"There is no priority {priority}; choose {', '.join(map(str, PRIORITIES))}.")
        with self._database.write() as db:
            runs = list(runs)
            needed = self.with_needed(runs)
            db.execute(f"UPDATE runs SET priority = ? WHERE id IN ({marks(runs)})", (priority, *runs))
            db.execute(f"UPDATE runs SET priority = MAX(priority, ?) WHERE id IN ({marks(needed)})",
                       (priority, *needed))

    def move(self, runs: Iterable[int], first: bool) -> None:
        """Put runs that wait before all others of their priority, or behind them, in the order that they have."""
        with self._database.write() as db:
            runs = self.with_needed(list(runs)) if first else list(runs)
            lowest, highest = db.execute("SELECT MIN(place), MAX(place) FROM runs").fetchone()
            rows = db.execute(f"SELECT id FROM runs WHERE id IN ({marks(runs)}) ORDER BY place", runs).fetchall()
            begin = (lowest or 0) - len(rows) if first else (highest or 0) + 1
            db.executemany("UPDATE runs SET place = ? WHERE id = ?",
                           [(begin + i, row["id"]) for i, row in enumerate(rows)])

    def with_needed(self, runs: list[int]) -> list[int]:
        """Runs, what they are made of, and the teachers of all of them."""
        parts = self._database.read(f"SELECT member AS id FROM members WHERE run IN ({marks(runs)})", runs)
        made = [*runs, *(row["id"] for row in parts)]
        teachers = self._database.read(
            f"SELECT DISTINCT teacher AS id FROM runs WHERE id IN ({marks(made)}) AND teacher IS NOT NULL", made)
        return [*made, *(row["id"] for row in teachers)]

    def line(self) -> list[dict]:
        """Runs that are going or wait, without configurations: those that go, and the others as one owner's turns."""
        fields = FIELDS.replace(" config,", "")  # which are long, and which no line shows
        return self._database.read(f"SELECT {fields} FROM present WHERE state IN ('running', {marks(WAITING)}) "
                                   "ORDER BY state != 'running', priority DESC, place", WAITING)

    def alive(self) -> list[dict]:
        """Runs that give signs of life, this worker's or not: "id", "threads" and "gpu"."""
        return self._database.read("SELECT id, threads, gpu FROM runs WHERE state = 'running' AND "
                                   "ABS(? - heartbeat) <= ?", (time.time(), STALE_SECONDS))

    def put_on(self, run: int, gpu: int) -> None:
        """Keep on which GPU a run computes."""
        with self._database.write() as db:
            db.execute("UPDATE runs SET gpu = ? WHERE id = ?", (gpu, run))

    def greet(self, pid: int, device: str, slots: int) -> None:
        """Register a worker, or renew its sign of life."""
        now = time.time()
        with self._database.write() as db:
            db.execute("DELETE FROM workers WHERE ABS(? - heartbeat) > ?", (now, STALE_SECONDS))
            db.execute("INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)", (pid, now, device, slots))

    def part(self, pid: int) -> None:
        """Remove a worker that ends."""
        with self._database.write() as db:
            db.execute("DELETE FROM workers WHERE pid = ?", (pid,))

    def workers(self) -> list[dict]:
        """Workers that gave a sign of life within 15 seconds."""
        return self._database.read("SELECT * FROM workers WHERE ABS(? - heartbeat) <= ?", (time.time(), STALE_SECONDS))
