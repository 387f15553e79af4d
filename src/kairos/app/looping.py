"""The loop beside a server: one thread ticks as often as the settings say, another glances every second."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from kairos.app.controller import Controller
from kairos.app.evidence import Gathered
from kairos.app.glancing import Glance
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.app.set_aside import notes_of_refused
from kairos.app.telling import is_trouble, log_line
from kairos.errors import AdapterError, KairosError
from kairos.ledger import Entry
from kairos.pipeline.result import RunStopped

__all__ = ["Loop"]

_log = logging.getLogger("kairos.loop")

_GATHER_EVERY = timedelta(minutes=10)
"""How often, between two ticks, the log is read for what is on trial."""
_PATIENCE_S = 2.0
"""How long an end waits for what a thread is at; a training ends within a tenth of it."""


class Loop:
    """Ticks and glances until it is closed. Use it as a context manager.

    Two threads, because a training may take an hour, and harm must not wait for it. What fails is logged and tried
    again at the next beat: a broken pipeline must not stop the watching.

    Args:
        project: Whose; each thread has a project of its own, with the same settings.
    """

    def __init__(self, project: Project) -> None:
        self._outer = project
        self._gathered = Gathered()
        self._stop = threading.Event()
        self._lock = threading.Lock()  # protects what was told
        self._told: set[int] = set()
        self._threads = [
            threading.Thread(target=self._tick, name="kairos-loop", daemon=True),
            threading.Thread(target=self._glance, name="kairos-glance", daemon=True),
        ]

    def __enter__(self) -> Loop:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        until_s = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(timeout=max(until_s - time.monotonic(), 0.0))

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more; what does holds nothing that is half-written, and may be cut off."""
        return not any(thread.is_alive() for thread in self._threads)

    def _tick(self) -> None:
        try:
            self._ticks()
        except RunStopped as stop:  # told in the ledger, and begun again by the next loop
            _log.info("%s", stop)

    def _ticks(self) -> None:
        every_s = self._outer.settings.every.total_seconds()
        gather_s = min(every_s, _GATHER_EVERY.total_seconds())
        trouble = _Trouble("finish its turn", repeats=True)
        with self._project() as project:
            controller: Controller | None = None
            waited_s = every_s
            while not self._stop.is_set():
                with trouble:
                    controller = controller or Controller(project, on_entry=self._tell, gathered=self._gathered)
                    is_due, waited_s = waited_s >= every_s, waited_s % every_s
                    if is_due:
                        controller.tick()
                    else:
                        controller.judge()
                self._record(project)
                self._stop.wait(gather_s)
                waited_s += gather_s

    def _glance(self) -> None:
        every_s = self._outer.settings.glance.total_seconds()
        fresh_for = 3 * min(self._outer.settings.every, _GATHER_EVERY)
        trouble = _Trouble("glance at what is on trial", repeats=False)
        with self._project() as project:
            glance: Glance | None = None
            while not self._stop.wait(every_s):
                with trouble:
                    glance = glance or Glance(project, self._gathered, fresh_for=fresh_for, on_entry=self._tell)
                    glance.look()

    def _project(self) -> Project:
        outer = self._outer
        return Project(outer.root, home=outer.home, clock=outer.clock, actor="kairos", stopping=self._stop)

    def _record(self, project: Project) -> None:
        """Brings the experiment record up to the ledger, if there is something new for it."""
        try:
            if not Record.is_behind(project):
                return
            with Record(project) as record:
                record.follow()
            for note in notes_of_refused(project):
                _log.warning("%s", note)
        except AdapterError as error:
            _log.warning("The experiment record lags behind the ledger: %s", error)
        except Exception:
            _log.exception("The experiment record lags behind the ledger.")

    def _tell(self, entry: Entry) -> None:
        """Logs a fact once, whichever thread comes across it first."""
        with self._lock:
            if entry.seq in self._told:
                return
            self._told.add(entry.seq)
        _log.log(logging.WARNING if is_trouble(entry) else logging.INFO, "%s", log_line(entry))


class _Trouble:
    """Logs what goes wrong in a block, and lets the loop go on.

    Args:
        what: What could not be done then.
        repeats: Whether the same trouble is told each time; else once, until the block goes well again.
    """

    def __init__(self, what: str, *, repeats: bool) -> None:
        self._what, self._repeats = what, repeats
        self._last: str | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        if error is None:
            self._last = None
            return False
        if not isinstance(error, Exception):
            return False
        if self._repeats or str(error) != self._last:
            told = None if isinstance(error, KairosError) else error
            _log.error("The loop could not %s: %s", self._what, error, exc_info=told)
        self._last = str(error)
        return True
