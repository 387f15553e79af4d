"""The loop: look at what is live, move the rollout on or back, train anew. Each tick looks once and writes what it did.

Decisions are made in ``delivery`` and ``gates`` from values; here evidence is gathered and the outcome written down.
All state is in the ledger: a controller that is stopped anywhere goes on where it was, and of two controllers only one
decides, because every change names the head of the ledger that it was decided on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from kairos.app.alone import alone
from kairos.app.evidence import Evidence, Gathered
from kairos.app.project import Project
from kairos.app.reading import read
from kairos.app.retraining import retrain, settle
from kairos.app.trials import judge_bake, judge_trial
from kairos.app.watching import Watch
from kairos.errors import LedgerMoved
from kairos.ledger import Entry

__all__ = ["Controller"]

_log = logging.getLogger("kairos.loop")


class Controller:
    """Runs the loop of one project.

    Args:
        project: Whose; its clock says when a tick is.
        on_entry: Told of every fact that a tick writes, as soon as it is written.
        gathered: Where evidence is kept for a quick look by somebody else; see ``Glance``.
    """

    def __init__(
        self,
        project: Project,
        *,
        on_entry: Callable[[Entry], None] = lambda entry: None,
        gathered: Gathered | None = None,
    ) -> None:
        self._project = project
        self._on_entry = on_entry
        self._told = project.ledger.head()
        self._watches = {name: Watch(project, model) for name, model in project.settings.models.items()}
        shelf = Gathered() if gathered is None else gathered
        self._evidence = {name: Evidence(project, watch, shelf) for name, watch in self._watches.items()}

    def tick(self) -> None:
        """Looks once at every model, in the order of their names.

        A tick whose ground was moved by somebody else stops for that model; the next one sees what they did. Trouble
        with one model, or with the log of predictions, keeps no other from being watched.

        Raises:
            Exception: the first trouble, once all models have had their turn; others are logged.
        """
        self._take_turns(
            [self._project.predictions.roll, *(partial(self._turn, name) for name in sorted(self._watches))]
        )

    def judge(self) -> None:
        """Looks only at what is on trial, or bakes, between two ticks.

        Raises:
            Exception: as ``tick``.
        """
        self._take_turns([partial(self._judge, name) for name in sorted(self._watches)])

    def _take_turns(self, turns: Sequence[Callable[[], object]]) -> None:
        troubles: list[Exception] = []
        for turn in turns:
            try:
                turn()
            except LedgerMoved:
                continue
            except Exception as trouble:  # a user's pipeline or model may raise anything
                troubles.append(trouble)
            finally:
                self._announce()
        for other in troubles[1:]:
            _log.error("The loop could not finish its turn: %s", other, exc_info=other)
        if troubles:
            raise troubles[0]

    def _turn(self, name: str) -> None:
        if name not in self._project.state().models:
            return
        model, watch = self._project.settings.model(name), self._watches[name]
        try:
            watch.look()
        finally:  # what is on trial is judged even where the watching is in trouble
            self._judge(name)
        with alone(self._project) as is_alone:
            if is_alone:  # else another loop trains, and will take what comes of it further
                settle(self._project, model, announce=self._announce)
                read(self._project, model, self._project.state().model(name))
                self._announce()
                retrain(self._project, watch, model, announce=self._announce)

    def _judge(self, name: str) -> None:
        if name not in self._project.state().models:
            return
        model, evidence = self._project.settings.model(name), self._evidence[name]
        judge_bake(self._project, model, evidence)
        judge_trial(self._project, model, evidence, on_wrong_split=self._watches[name].tell_wrong_split)

    def _announce(self) -> None:
        for entry in self._project.ledger.read(after=self._told):
            self._told = entry.seq
            self._on_entry(entry)
