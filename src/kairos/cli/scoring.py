"""``predict``: a version predicts every row of a table."""

from __future__ import annotations

import sys
from argparse import Namespace
from time import monotonic

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.values import plain

__all__ = ["predict"]

_TOLD_EVERY_S = 0.5


def predict(args: Namespace) -> int:
    """Writes the table with predictions, and says how many there are."""
    from kairos.app.diffing import scratch
    from kairos.app.scoring import score, version_of
    from kairos.app.tables import find_table

    columns = None if args.columns is None else [name for name in args.columns.split(",") if name]
    with open_project(args) as project, scratch(project) as workdir:
        ref = version_of(project, args.version)
        table = find_table(project, args.table, workdir=workdir)
        screen = _Screen(quiet=args.json)
        scored = score(
            project,
            ref,
            table,
            args.output,
            columns=columns,
            skips_refused=args.skip_refused,
            captures=not args.no_capture,
            on_rows=screen.note,
        )
        screen.end()
    if args.json:
        show_json({**plain(scored), "file": str(args.output)})
        return 0
    say(f"{ref} predicted {scored.rows:,} rows into {args.output}, job {scored.job}")
    if scored.refused:
        say(f"  {scored.refused:,} rows do not fit the model and have no prediction; see prediction_refused")
    for action, count in scored.actions.items():
        say(f"  {action}: {count:,} rows; see prediction_action")
    return 0


class _Screen:
    """How many rows are done, on one line of a terminal; a log gets none of it."""

    def __init__(self, *, quiet: bool) -> None:
        self._is_live = not quiet and sys.stderr.isatty()
        self._started_s = self._told_s = monotonic()

    def note(self, rows: int) -> None:
        """Tells, if it is time to."""
        now_s = monotonic()
        if self._is_live and now_s - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            rate = rows / max(now_s - self._started_s, 1e-9)
            sys.stderr.write(f"\r{rows:,} rows, {rate:,.0f} a second\x1b[K")
            sys.stderr.flush()

    def end(self) -> None:
        """Clears the line."""
        if self._is_live:
            sys.stderr.write("\r\x1b[K")
