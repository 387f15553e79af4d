"""The loop beside a server: a thread that ticks as often as the settings say."""

from __future__ import annotations

import logging
import threading

from kairos.app.controller import Controller
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.errors import AdapterError, KairosError
from kairos.ledger import Entry

__all__ = ["Loop"]

_log = logging.getLogger("kairos.loop")


class Loop:
    """Ticks until it is closed. Use it as a context manager.

    A tick that fails is logged and tried again at the next beat: a broken pipeline must not stop the watching.

    Args:
        project: Whose; the loop has a project of its own in its thread, with the same settings.
    """

    def __init__(self, project: Project) -> None:
        self._outer = project
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kairos-loop", daemon=True)

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        every_s = self._outer.settings.every.total_seconds()
        with Project(self._outer.root, home=self._outer.home, clock=self._outer.clock, actor="kairos") as project:
            controller: Controller | None = None
            while not self._stop.is_set():
                try:
                    controller = controller or Controller(project, on_entry=_tell)
                    controller.tick()
                except KairosError as error:
                    _log.error("The loop could not finish its turn: %s", error)
                except Exception:
                    _log.exception("The loop could not finish its turn.")
                self._record(project)
                self._stop.wait(every_s)

    def _record(self, project: Project) -> None:
        """Brings the experiment record up to the ledger, if there is something new for it."""
        try:
            if not Record.is_behind(project):
                return
            with Record(project) as record:
                record.follow()
        except AdapterError as error:
            _log.warning("The experiment record lags behind the ledger: %s", error)
        except Exception:
            _log.exception("The experiment record lags behind the ledger.")


def _tell(entry: Entry) -> None:
    sentence = entry.body.get("sentence") or "; ".join(map(str, entry.body.get("reasons") or ()))
    _log.warning("%s %s %s %s", entry.kind, entry.subject, entry.body.get("to", ""), sentence)
