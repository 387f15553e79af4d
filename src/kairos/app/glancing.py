"""The quick look, every second, at what is on trial or bakes: bad events lead back within seconds.

Only counts are read, so a glance costs the same after a million requests. What labels and the log say is taken from the
last turn of the loop; if that is too long ago, a glance still leads back, but nothing goes forward by it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from kairos.app.evidence import Gathered, recount
from kairos.app.project import Project
from kairos.app.trials import judge_bake, judge_trial
from kairos.errors import LedgerMoved
from kairos.ledger import Entry

__all__ = ["Glance"]

_log = logging.getLogger("kairos.loop")


class Glance:
    """Looks at all models of a project.

    Args:
        project: Whose; used by one thread only.
        gathered: What the loop gathered last.
        fresh_for: For how long that is enough to go forward by.
        on_entry: Told of every fact that a glance writes.
    """

    def __init__(
        self,
        project: Project,
        gathered: Gathered,
        *,
        fresh_for: timedelta,
        on_entry: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self._project, self._on_entry = project, on_entry
        self._models = [project.settings.models[name] for name in sorted(project.settings.models)]
        self._evidence_of = {
            model.name: recount(project, model, gathered, fresh_for=fresh_for) for model in self._models
        }

    def look(self) -> None:
        """Looks once. Trouble with one model keeps no other from being looked at.

        Raises:
            Exception: the first trouble, once all models were looked at.
        """
        troubles: list[Exception] = []
        for model in self._models:
            state = self._project.state()
            found = state.models.get(model.name)
            if found is None or (found.challenger is None and found.previous is None):
                continue
            try:
                judge_bake(self._project, model, self._evidence_of[model.name])
                judge_trial(self._project, model, self._evidence_of[model.name])
            except LedgerMoved:  # somebody was faster; the next glance sees what they did
                continue
            except Exception as trouble:
                troubles.append(trouble)
            finally:
                for entry in self._project.ledger.read(after=state.seq):
                    if entry.actor == self._project.actor and entry.kind == "stage.changed":
                        self._on_entry(entry)
        if troubles:
            raise troubles[0]
