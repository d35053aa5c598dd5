"""The store's SQLite file: its connections, its transactions, and how an older format becomes today's."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from kdcore.errors import UserError

_FORMATS = {2: """
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
    pid INTEGER PRIMARY KEY, heartbeat REAL NOT NULL, device TEXT NOT NULL, slots INTEGER NOT NULL)
""", 3: """
ALTER TABLE runs ADD COLUMN wish TEXT NOT NULL DEFAULT '';
UPDATE runs SET wish = 'stopped' WHERE stopping;
ALTER TABLE runs DROP COLUMN stopping;
ALTER TABLE runs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN place REAL NOT NULL DEFAULT 0;
UPDATE runs SET place = id;
ALTER TABLE runs ADD COLUMN expected REAL;
ALTER TABLE runs ADD COLUMN deleted REAL;
CREATE INDEX runs_by_deleted ON runs(deleted) WHERE deleted IS NOT NULL;
CREATE VIEW present AS SELECT * FROM runs WHERE deleted IS NULL;
CREATE TABLE IF NOT EXISTS members (
    run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE, member INTEGER NOT NULL REFERENCES runs(id),
    PRIMARY KEY (run, member)) WITHOUT ROWID;
CREATE TABLE contents (
    experiment TEXT NOT NULL, run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
    PRIMARY KEY (experiment, run)) WITHOUT ROWID;
CREATE INDEX contents_by_run ON contents(run);
INSERT INTO contents SELECT experiment, id FROM runs WHERE experiment != '';
INSERT OR IGNORE INTO contents SELECT experiment, teacher FROM runs WHERE experiment != '' AND teacher IS NOT NULL;
INSERT OR IGNORE INTO contents SELECT experiment, member FROM members JOIN runs ON id = run WHERE experiment != '';
CREATE TABLE experiments (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL DEFAULT '', created REAL NOT NULL, content TEXT NOT NULL DEFAULT '{}',
    deleted REAL);
INSERT INTO experiments (name, created) SELECT experiment, MIN(created) FROM runs WHERE experiment != ''
    GROUP BY experiment;
CREATE TABLE turns (owner TEXT PRIMARY KEY, turn INTEGER NOT NULL)
"""}
_TOLD = {"note": "TEXT NOT NULL DEFAULT ''", "tags": "TEXT NOT NULL DEFAULT ''"}
_ADDED = {"runs": {"gpu": "INTEGER", "imported": "INTEGER NOT NULL DEFAULT 0", **_TOLD},
          "experiments": _TOLD}  # an older worker goes on beside them
VERSION = max(_FORMATS)
FIELDS = ("id, name, experiment, role, method, title, seed, config, hash, teacher, state, message, claim, wish, "
          "threads, step, steps, created, started, finished, owner, priority, place, expected, deleted, note, tags")


class Database:
    """One SQLite file, with a connection for each thread.

    A file of an older format is brought up to date, and a copy of it is kept beside it. Raises UserError where the
    file cannot be used, or was written by a newer version of the project.
    """

    def __init__(self, path: Path):
        self.path = path
        self._local = threading.local()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.DatabaseError) as error:
            raise UserError(f"The store in {path.parent} cannot be used ({error}); set KD_STORE to another folder, "
                            "or move this one away.") from error

    def read(self, query: str, values: Sequence | dict = ()) -> list[dict]:
        """The rows that a query finds."""
        return [dict(row) for row in self._connection().execute(query, values)]

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is done inside happens, or nothing of it. One inside another is part of it."""
        db = self._connection()
        if db.in_transaction:
            yield db
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _prepare(self) -> None:
        _switch_to_wal(self._connection())
        with self.write() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise UserError(f"The store in {self.path.parent} was written by a newer version of Apprentice (its "
                                f"format is {version}, this one reads {VERSION}); update Apprentice, or set KD_STORE "
                                "to another folder. Nothing was changed.")
            if 0 < version < VERSION:
                self._copy(self.path.with_stem(f"{self.path.stem}-format-{version}"))
            for newer in range(version + 1, VERSION + 1):
                for statement in filter(str.strip, _FORMATS.get(newer, "").split(";")):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
            for table, columns in _ADDED.items():
                known = {column["name"] for column in db.execute(f"PRAGMA table_info({table})")}
                for name in columns.keys() - known:
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def _copy(self, place: Path) -> None:
        """Keep the file as it is before the transaction that is going on: other connections do not see that one."""
        with closing(sqlite3.connect(self.path)) as before, closing(sqlite3.connect(place)) as kept:
            before.backup(kept)

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "db"):
            db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            self._local.db = db
        return self._local.db


def marks(values: Sequence) -> str:
    """A placeholder for each value."""
    return ", ".join("?" * len(values))


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """The switch does not wait for another process that is making the same store, so it is tried for some seconds."""
    for _ in range(100):
        with suppress(sqlite3.OperationalError):
            db.execute("PRAGMA journal_mode = WAL")
            return
        time.sleep(0.05)
    db.execute("PRAGMA journal_mode = WAL")
