"""A run on the screen: a line with its time for each thing that happens, and, on a terminal, what is at work below."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kairos.pipeline.planning import Planned
    from kairos.pipeline.result import StepEvent

__all__ = ["RunScreen", "plan_lines"]

_ONE_BY_ONE = 12
"""So many reused steps in a row are named; of more it is told how many they are."""
_REDRAW_S = 0.5
_CLEAR = "\r\x1b[2K"


class RunScreen:
    """Prints how a run gets on. Use it as a context manager.

    Where nobody watches (a log of CI, a pipe) there are whole lines only, and no control codes.

    Args:
        why: Say why each step runs.
        quiet: Print nothing.
    """

    def __init__(self, *, why: bool, quiet: bool = False) -> None:
        self._why = why
        self._quiet = quiet
        self._is_live = not quiet and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._running: dict[str, float] = {}
        self._reused: list[tuple[str, str]] = []
        """When it was, and the step: told with the next event, as it is not known before how many come in a row."""
        self._guard = threading.Lock()
        """One thread prints at a time."""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="kairos-screen", daemon=True)

    def __enter__(self) -> RunScreen:
        if self._is_live:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        if self._is_live:
            self._thread.join()
        with self._guard:
            self._tell_reused()
            self._running.clear()
            self._draw()

    def note(self, event: StepEvent) -> None:
        """Tells of an event."""
        if self._quiet:
            return
        with self._guard:
            if event.what == "reused":
                self._reused.append((_now(), event.step))
                return
            self._tell_reused()
            if event.what in ("started", "retried", "waits"):
                self._running.setdefault(event.step, time.monotonic())
            else:
                self._running.pop(event.step, None)
            now = _now()
            self._print([f"{now}  {event.step:12}  {line}" for line in self._lines(event)])

    def _lines(self, event: StepEvent) -> list[str]:
        took = f"{event.elapsed_s:.1f} s"
        match event.what:
            case "started":
                reasons = [f"because {reason}" for reason in event.why] if self._why else []
                return [*([] if self._is_live else ["started"]), *reasons]
            case "retried":
                return [f"failed, {event.why[-1]}: {event.why[0]}"]
            case "waits":
                return [f"waits for {event.why[0]}"]
            case "failed":
                return [f"failed after {took}"]
        pulled = f", {event.parts} partitions pulled" if event.parts else ""
        return [f"{event.what} ({took}{pulled})"]

    def _tell_reused(self) -> None:
        reused, self._reused = self._reused, []
        if len(reused) <= _ONE_BY_ONE:
            self._print([f"{at}  {step:12}  reused" for at, step in reused])
        else:
            at, last = reused[-1]
            self._print([f"{at}  {len(reused)} steps    reused, from {reused[0][1]} to {last}"])

    def _print(self, lines: Sequence[str]) -> None:
        if lines:
            print((_CLEAR if self._is_live else "") + "\n".join(lines))
            self._draw()
            sys.stdout.flush()

    def _redraw(self) -> None:
        while not self._is_over.wait(_REDRAW_S):
            with self._guard:
                self._tell_reused()
                self._draw()

    def _draw(self) -> None:
        if self._is_live:
            now = time.monotonic()
            at_work = ", ".join(f"{step} {now - since:.0f} s" for step, since in self._running.items())
            width = os.get_terminal_size().columns if sys.stdout.isatty() else 80
            line = f"running: {at_work}" if at_work else ""
            print(_CLEAR + line[: width - 1], end="", flush=True)


def _now() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"


def plan_lines(planned: Sequence[Planned], *, seeds: int = 1) -> list[str]:
    """A plan as lines for a person."""
    words = {"reuse": "reuse", "run": "run", "depends": "run or reuse"}
    lines = []
    for step in planned:
        pulled = f" ({step.parts} partitions)" if step.parts else ""
        lines.append(f"  {step.step:12}  {words[step.what]}{pulled}")
        because = "because " if step.what == "run" else ""
        lines += [f"  {'':12}    {because}{reason}" for reason in step.why]
    if seeds > 1:
        anew = ", ".join(step.step for step in planned if step.varies) or "nothing"
        lines.append(f"Each of the {seeds - 1} other seeds would make: {anew}.")
    counts = {what: sum(step.what == what for step in planned) for what in words}
    lines.append(
        f"{counts['run']} would run, {counts['depends']} depend on what those give, {counts['reuse']} would be reused. "
        "Nothing ran."
    )
    return lines
