"""The experiment record follows the ledger: what it lacks after a crash or an outage, it is told the next time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, NamedTuple

from kairos.app.left_logs import are_left, take_up
from kairos.app.project import Project
from kairos.app.set_aside import note_refused
from kairos.errors import AdapterError, AdapterMissing, BlobDamaged, LedgerError, NotFound
from kairos.experiments.finding import find_run
from kairos.experiments.ports import Recorder, VersionRecord
from kairos.experiments.runs import RUN_KINDS, run_record
from kairos.experiments.studies import study_record
from kairos.ledger import Entry
from kairos.store.files import write_atomically
from kairos.values import Digest, VersionRef

__all__ = ["Record"]

_PLACE = "recorded.json"
_LOCK = "recorded.lock"
"""Held while a process tells; the system lets go of it if that process dies."""
_KINDS = (*RUN_KINDS, "study.judged", "version.registered", "stage.changed")


class Record:
    """Hands the facts that a recorder does not have yet to it, in their order.

    How far it has come is kept beside the ledger, and written only after the recorder has confirmed all it was given.
    A recorder takes the same fact twice without harm, so a crash in between costs nothing. One process at a time tells;
    another one waits for it. What the recorder refuses for what it is, is set aside with the reason, and not told
    again.

    Args:
        project: Whose ledger.
        recorder: Where to; ``None``: the MLflow record that the settings name.
    """

    def __init__(self, project: Project, recorder: Recorder | None = None) -> None:
        self._project = project
        self._place = project.home / _PLACE
        self._lock: int | None = None
        self._is_closed = False
        self._seq = 0  # until the lock is held
        self._refused: list[str] = []
        self._recorder = recorder if recorder is not None else _open_recorder(project)

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def is_behind(project: Project) -> bool:
        """Whether there are facts that a recorder was not told; answers without opening one."""
        seq = _read_mark(project).seq
        return are_left(project.home) or any(True for _ in project.ledger.read(after=seq, kinds=_KINDS))

    def follow(self) -> None:
        """Hands over what is new in the ledger.

        Raises:
            AdapterError: something could not be recorded by now; it is told again the next time.
        """
        self._begin()
        touched: set[str] = set()
        for entry in self._project.ledger.read(after=self._seq, kinds=_KINDS):
            if entry.kind in ("version.registered", "stage.changed"):
                touched.add(VersionRef.parse(entry.subject).model)
            try:
                self._tell(entry)
            except (LedgerError, NotFound, BlobDamaged) as error:  # what a fact names is gone: no later try finds it
                self._refused.append(f"Nothing can be told of {entry.subject}, entry {entry.seq}: {error}")
            self._seq = entry.seq
        state = self._project.state()
        for model in sorted(touched):
            aliases = {
                "champion": state.model(model).champion_number,
                "challenger": state.model(model).challenger_number,
            }
            self._hand_over("set_aliases", model, aliases)

    def close(self) -> None:
        """Hands over the rest, waits until all of it is recorded, and remembers how far it came; once.

        Raises:
            AdapterError: some of it could not be recorded; it is told again the next time.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            try:
                self.follow()
            finally:
                self._confirm()
            mark = {"seq": self._seq, "at": self._project.settings.tracking, "place": self._recorder.place}
            write_atomically(self._place, json.dumps(mark).encode())
        except AdapterError as error:
            if error.facts.get("another"):
                self._place.unlink(missing_ok=True)
            raise
        finally:
            self._end()

    def abandon(self) -> None:
        """Ends without handing anything over; what is missing is told the next time."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._recorder.close()
        finally:
            self._end()

    def _confirm(self) -> None:
        try:
            self._hand_over("close")
        finally:  # also in an outage: of a run of which parts were refused, and the rest is there, nobody hears again
            note_refused(self._project, self._refused)

    def _tell(self, entry: Entry) -> None:
        if entry.kind in RUN_KINDS:
            self._hand_over("record_run", replace(run_record(entry), store=self._project.store.root.absolute()))
        elif entry.kind == "study.judged":
            self._hand_over("record_run", study_record(entry))
        elif entry.kind == "version.registered":
            self._hand_over("record_version", self._version(entry))

    def _hand_over(self, call: str, *arguments: Any) -> None:
        """Calls the recorder; what it refuses, of this or of an earlier call, is noted."""
        try:
            getattr(self._recorder, call)(*arguments)
        except AdapterError as error:
            due = [error, *error.facts.get("also", ())]
            self._refused += [str(each) for each in due if each.facts.get("refused")]
            passing = [each for each in due if not each.facts.get("refused")]
            if passing:
                raise passing[0] from None

    def _begin(self) -> None:
        """Waits until no other process tells, and goes on where it was."""
        if self._lock is None:
            self._project.home.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._project.home / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            take_up(self._project)
            mark = _read_mark(self._project)
            self._seq = mark.seq
            self._hand_over("expect", mark.place)

    def _end(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _version(self, entry: Entry) -> VersionRecord:
        ref = VersionRef.parse(entry.subject)
        package = Digest(entry.body["package"])
        folder = self._project.home / "packages" / str(ref)
        if not folder.exists():
            self._project.store.checkout(package, folder)
        run = find_run(self._project.run_index, entry.body["run"])
        return VersionRecord(
            model=ref.model,
            number=ref.number,
            run=run.run,
            package=package,
            package_folder=folder,
            registered_at=entry.at,
            origin=entry.body["origin"],
            base=entry.body.get("base"),
            twin=entry.body.get("twin"),
            metrics=_of_model(run.metrics, ref.model),
            params=run.params,
        )


def _of_model(metrics: Mapping[str, float], model: str) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.partition(".")[0] == model}


def _open_recorder(project: Project) -> Recorder:
    found = entry_points(group="kairos.adapters", name="mlflow")
    if not found:
        raise AdapterMissing("The adapter 'mlflow' is not installed.", hint="Type: pip install kairos-ml")
    open_recorder = next(iter(found)).load()
    recorder: Recorder = open_recorder(project.home, name=project.settings.name, url=project.settings.tracking)
    return recorder


class _Mark(NamedTuple):
    """How far a record came, and which."""

    seq: int
    place: str | None


def _read_mark(project: Project) -> _Mark:
    """From the first fact on where that cannot be read, or was told at another address: all is told again then."""
    try:
        told = json.loads((project.home / _PLACE).read_bytes())
        is_here = "at" not in told or told["at"] == project.settings.tracking
        return _Mark(int(told["seq"]), told.get("place")) if is_here else _Mark(0, None)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return _Mark(0, None)
