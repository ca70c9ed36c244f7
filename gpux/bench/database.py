"""One SQLite file that many processes add to: opening, locking, its version, and every failure in words.

Knows the table of the history and no record of the benchmark.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gpux.errors import StoreError, StoreUnwritable

VERSION = 1
"""Of the table, in ``PRAGMA user_version``."""

APPLICATION = 0x47505558
"""``GPUX`` in ``PRAGMA application_id``, which tells the file from other programs' databases."""

WAIT = 60.0
"""Seconds that one process waits for the others' locks."""

_TABLE = """
CREATE TABLE results (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    reference TEXT NOT NULL,
    started TEXT NOT NULL,
    entry TEXT NOT NULL,
    seconds BLOB NOT NULL
)
"""
_INDEX = "CREATE INDEX results_by_reference ON results (reference, id)"


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The database as it is, or ``None`` where there is none yet; a file without write access will do.

    Raises:
        StoreError: The file is damaged, of another program, or of a newer version.
    """
    try:
        there = path.exists()
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error
    if not there:
        yield None
        return
    # Not opened as read-only: after a crash the first reader must roll the journal back.
    with _named(path), closing(_connect(path)) as connection:
        yield connection if _version(connection, path) else None


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, alone; the database is made where there is none, and nothing is changed where an error leaves it.

    The rollback journal is used, not the write-ahead log: that one cannot be read from a directory without write access,
    needs memory shared between processes, and a result now and then gains nothing by it.

    Raises:
        StoreUnwritable: The file cannot be written.
        StoreError: It is damaged, of another program, or of a newer version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error
    with _named(path), closing(_connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not _version(connection, path):
                connection.execute(_TABLE)
                connection.execute(_INDEX)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def damaged(path: Path, reason: str) -> StoreError:
    """The error for a file that holds what GPUX never wrote."""
    return StoreError(
        f"the history `{path}` is damaged: {reason}",
        hint="move the file away: the next benchmark begins a new history",
        path=path,
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
    try:
        # A power cut must not cost the old results; the newest one may go.
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the table is there; not in a file without any content."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables and not version and not application:
        return False
    if application != APPLICATION:
        raise StoreError(
            f"`{path}` is a database of another program",
            hint="move the file away: the next benchmark begins a new history",
            path=path,
        )
    if version > VERSION:
        raise StoreError(
            f"the history `{path}` has version {version}, this version of gpux reads {VERSION}",
            hint="pip install --upgrade gpux",
            path=path,
        )
    if version < VERSION:
        raise damaged(path, f"there is no version {version}")
    return True


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in {
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_PERM,
        }:
            raise _unwritable(path, str(error)) from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise StoreUnwritable(
                f"the history `{path}` was locked by another process for {WAIT:g} seconds",
                hint="wait until the other process has ended",
                path=path,
            ) from error
        raise damaged(path, str(error)) from error


def _unwritable(path: Path, reason: str) -> StoreUnwritable:
    return StoreUnwritable(
        f"the history `{path}` cannot be opened or written: {reason}",
        hint="set GPUX_HOME to a directory that you may write to, or add --no-history",
        path=path,
    )
