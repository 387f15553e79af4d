"""What a full disk looks like, to Python and to SQLite, and how a file of SQLite is read where nothing can be written.

SQLite calls it an I/O error where there is no room for the files beside the one that it opens.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

__all__ = ["MAKE_ROOM", "is_full", "reading"]

MAKE_ROOM = "Make room there and type the same again: nothing is half-written."
"""What to do about it."""

_NEEDED_BYTES = 1 << 16
"""With less SQLite cannot open a file for writing: so much has the index of its log, with a page to spare."""


def is_full(error: BaseException, path: Path | None = None) -> bool:
    """Whether an error says that no room is left, also to this person alone.

    Args:
        error: Of the system or of SQLite.
        path: The file of SQLite that it is about.
    """
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says which operation it was
        if code == sqlite3.SQLITE_FULL:
            return True
        return code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and path is not None and _is_full_at(path)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def reading(path: Path, timeout_s: float) -> sqlite3.Connection:
    """A connection for reading alone.

    What a writer has not yet brought from its log into the file is read with it. Without such a log SQLite would make
    one, which it may not; so it is told that the file does not change.
    """
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )


def _is_full_at(path: Path) -> bool:
    folder = next(each for each in path.absolute().parents if os.path.exists(each))
    return shutil.disk_usage(folder).free < _NEEDED_BYTES
