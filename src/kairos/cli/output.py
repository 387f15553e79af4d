"""What a command prints: for a person, or with ``--json`` for a machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

from kairos.errors import KairosError
from kairos.values import Json, plain

__all__ = ["fail", "moment", "say", "show_json", "stopped", "table"]


def show_json(value: object) -> None:
    """Prints a value as indented JSON."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


def say(*lines: str) -> None:
    """Prints lines for a person."""
    for line in lines:
        print(line)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints columns that line up; numbers of every kind are shown as they are."""
    shown = [[str(head_cell) for head_cell in head], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in shown) for i in range(len(head))]
    for row in shown:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def moment(at: datetime) -> str:
    """A moment as people read it, in UTC.

    >>> from datetime import UTC
    >>> moment(datetime(2012, 3, 3, 14, tzinfo=UTC))
    '2012-03-03 14:00'
    """
    return at.strftime("%Y-%m-%d %H:%M")


def fail(error: KairosError, *, as_json: bool) -> int:
    """Prints an error, with the user's own traceback if her code raised it, and returns its exit code.

    No credential of the environment is in what is printed.
    """
    from kairos.pipeline.origins.secrets import without_secrets_in  # a command that goes well needs none of it

    exit_code, error = error.exit_code, without_secrets_in(error)  # a gate's refusal has one of its own
    if as_json:
        given = error.given if error.given is None else str(error.given)
        _error_json(error.code, str(error), given=given, accepted=error.accepted, hint=error.hint)
        return exit_code
    traceback = error.facts.get("traceback")
    if traceback:
        print(traceback.rstrip(), file=sys.stderr)
    print(f"error: {error.what}", file=sys.stderr)
    for name in ("given", "accepted"):
        if getattr(error, name) is not None:
            print(f"  {name + ':':9} {getattr(error, name)}", file=sys.stderr)
    if error.hint is not None:
        print(f"  {error.hint}", file=sys.stderr)
    return exit_code


def stopped(said: str, *, as_json: bool) -> int:
    """Says that somebody stopped the command, by Ctrl-C or as Ctrl-C does, and returns its exit code."""
    if as_json:
        _error_json("stopped", said)
    else:
        print(said, file=sys.stderr)
    return 130


def _error_json(
    code: str, message: str, *, given: str | None = None, accepted: str | None = None, hint: str | None = None
) -> None:
    fields: dict[str, Json] = {
        "code": code,
        "message": message,
        "given": given,
        "accepted": accepted,
        "hint": hint,
    }
    print(json.dumps({"error": fields}, ensure_ascii=False), file=sys.stderr)
