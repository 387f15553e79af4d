"""Errors that nobody raised on purpose: told in one sentence, with the traceback where it can be found.

Loaded only when there is one.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

from kairos.disk import MAKE_ROOM, is_full
from kairos.errors import KairosError

__all__ = ["SHOW", "explained"]

SHOW = "KAIROS_TRACEBACK"
"""A variable of the environment; when it is set, such errors end with Python's own traceback."""


def explained(error: Exception) -> KairosError:
    """What a person is told of an unexpected error.

    An ``OSError`` is the machine's (a full disk, a folder that may not be written to); any other is a defect of ours,
    and its traceback goes to a file of its own.
    """
    if isinstance(error, OSError):
        name = error.filename2 or error.filename  # the second is what was to be written
        return KairosError(
            f"The system does not let Kairos go on: {error.strerror or error}.",
            given=None if name is None else os.fsdecode(name),
            hint=MAKE_ROOM if is_full(error) else f"With {SHOW}=1 in the environment, you see where it happened.",
        )
    said = str(error).strip().partition("\n")[0]
    return KairosError(
        "Kairos failed in a way that it should not; this is a defect of Kairos, please report it.",
        given=f"{type(error).__name__}: {said}" if said else type(error).__name__,
        hint=_kept(error),
    )


def _kept(error: Exception) -> str:
    """Writes the traceback down, without credentials of the environment, and says where."""
    from kairos.pipeline.origins.secrets import note_environment, redacted  # as all of this, for errors alone

    note_environment()
    text = redacted("".join(traceback.format_exception(error)))
    try:
        handle, name = tempfile.mkstemp(prefix="kairos-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        print(text, file=sys.stderr)
        return "The traceback is printed above, because it could not be written to a file."
    return f"The traceback is in {name}. With {SHOW}=1 in the environment, it is printed instead."
