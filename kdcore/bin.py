"""The bin: what was deleted of a store, which can be had back for a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from kdcore.database import Database, marks
from kdcore.errors import UserError
from kdcore.queue import Queue

KEPT_SECONDS = 24 * 3600.0
CONFIRM_SECONDS = 600.0  # by a clock that only runs: the other one may jump
STARTS = """
SELECT id, json_extract(config, '$.network.start.run') AS run, json_extract(config, '$.network.start.step') AS step
    FROM present WHERE state IN ('queued', 'paused', 'running') AND run IS NOT NULL"""  # what begins with what


class Bin:
    """The runs and experiments of a store that were deleted; `remove` removes a run's files."""

    def __init__(self, database: Database, queue: Queue, remove: Callable[[int], None]):
        self._database, self._queue, self._remove = database, queue, remove
        self._expired: dict[float, float] = {}  # when it was deleted: when we first saw that this is long ago

    def delete(self, run: int) -> None:
        """Delete a run; for a day `undelete` has it back. Raises UserError where it runs or others need it."""
        with self._database.write() as db:
            students = db.execute("SELECT COUNT(*) FROM present WHERE teacher = ?", (run,)).fetchone()[0]
            if students:
                raise UserError(f"{students} students learnt from this teacher; delete them first.")
            if db.execute("SELECT 1 FROM members m JOIN present r ON r.id = m.run WHERE m.member = ?",
                          (run,)).fetchone():
                raise UserError("An ensemble, or another student of it, is made of this run; delete that one first.")
            if db.execute(f"SELECT 1 FROM ({STARTS}) WHERE run = ?", (run,)).fetchone():
                raise UserError("Runs that wait or go start from what this one learnt; let them end, or delete them.")
            if not db.execute("UPDATE runs SET deleted = ? WHERE id = ? AND state != 'running' AND deleted IS NULL",
                              (time.time(), run)).rowcount:
                raise UserError("This run is still running, or was deleted already; stop it first.")

    def delete_experiment(self, experiment: str) -> None:
        """Delete an experiment, with those of its runs that no other experiment lists and no other run needs.

        Raises UserError where one of those is running.
        """
        with self._database.write() as db:
            own = {row["run"] for row in db.execute(
                "SELECT run FROM contents WHERE experiment = ? EXCEPT SELECT run FROM contents JOIN experiments ON "
                "name = experiment WHERE experiment != ? AND deleted IS NULL", (experiment, experiment))}
            while needed := {row["id"] for row in db.execute(
                    "SELECT teacher AS id, id AS by FROM present WHERE teacher IS NOT NULL UNION SELECT member, run "
                    f"FROM members JOIN present ON id = run UNION SELECT run, id FROM ({STARTS})")
                    if row["id"] in own and row["by"] not in own}:
                own -= needed
            if db.execute(f"SELECT 1 FROM present WHERE id IN ({marks(own)}) AND state = 'running'", [*own]).fetchone():
                raise UserError("Some of this experiment's runs are still running; stop them first.")
            now = time.time()
            db.execute("UPDATE experiments SET deleted = ? WHERE name = ?", (now, experiment))
            db.execute(f"UPDATE runs SET deleted = ? WHERE id IN ({marks(own)}) AND deleted IS NULL", (now, *own))

    def deleted(self, owner: str | None = None) -> list[dict]:
        """What can still be had back, newest first: all, or what was somebody's.

        {"deleted" when, "name" of the run or experiment, "runs" how many, "owner"}.
        """
        return self._database.read(
            "SELECT * FROM (SELECT r.deleted, COALESCE(e.name, MIN(r.name)) AS name, COUNT(r.id) AS runs, "
            "COALESCE(e.owner, MIN(r.owner)) AS owner FROM runs r LEFT JOIN experiments e ON e.deleted = r.deleted "
            "WHERE r.deleted IS NOT NULL GROUP BY r.deleted UNION SELECT deleted, name, 0, owner FROM experiments "
            "WHERE deleted IS NOT NULL AND deleted NOT IN (SELECT deleted FROM runs WHERE deleted IS NOT NULL)) "
            "WHERE :owner IS NULL OR owner = :owner ORDER BY deleted DESC", {"owner": owner})

    def undelete(self, deleted: float) -> None:
        """Have back what was deleted at that time, and what it needs."""
        with self._database.write() as db:
            back = [row["id"] for row in db.execute(
                "SELECT id FROM runs WHERE deleted = ? UNION SELECT run FROM contents JOIN experiments ON name = "
                "experiment WHERE deleted = ?", (deleted, deleted))]
            back = self._queue.with_needed(back)
            db.execute(f"UPDATE runs SET deleted = NULL WHERE id IN ({marks(back)})", back)
            db.execute("UPDATE experiments SET deleted = NULL WHERE deleted = ?", (deleted,))

    def purge(self, kept_seconds: float = KEPT_SECONDS, confirm_seconds: float = CONFIRM_SECONDS) -> None:
        """Remove for good what was deleted longer ago than this, and was so ten minutes ago as well."""
        long_ago = self._database.read(
            "SELECT deleted FROM runs WHERE deleted < :before UNION SELECT deleted FROM experiments WHERE deleted < "
            ":before", {"before": time.time() - kept_seconds})
        seen = time.monotonic()
        self._expired = {row["deleted"]: self._expired.get(row["deleted"], seen) for row in long_ago}
        self.empty(at for at, since in self._expired.items() if seen - since >= confirm_seconds)

    def empty(self, times: Iterable[float]) -> None:
        """Remove for good, with their files, what was deleted at these times and nothing that is kept needs."""
        times = list(times)
        with self._database.write() as db:
            found = {row["id"] for row in db.execute(
                f"SELECT id FROM runs WHERE deleted IN ({marks(times)}) EXCEPT SELECT run FROM contents JOIN "
                f"experiments ON name = experiment WHERE deleted IS NOT NULL AND deleted NOT IN ({marks(times)})",
                [*times, *times])}  # what somebody else may still have back with an experiment stays
            uses = list(db.execute("SELECT teacher AS id, id AS by FROM runs WHERE teacher IS NOT NULL UNION "
                                   "SELECT member, run FROM members"))
            while needed := {row["id"] for row in uses if row["id"] in found and row["by"] not in found}:
                found -= needed
            gone = list(found)
            db.execute(f"DELETE FROM members WHERE member IN ({marks(gone)})", gone)
            db.execute(f"DELETE FROM runs WHERE id IN ({marks(gone)})", gone)
            db.execute(f"DELETE FROM experiments WHERE deleted IN ({marks(times)})", times)
            db.execute("DELETE FROM contents WHERE experiment NOT IN (SELECT name FROM experiments)")
        for run in gone:
            self._remove(run)
