"""An opened project: where its parts are, each opened when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.clock import Clock, SystemClock
from kairos.values import Json

if TYPE_CHECKING:  # these load heavy libraries, which most commands do without
    from kairos.app.settings import Settings
    from kairos.delivery.state import DeliveryState
    from kairos.experiments.index import RunIndex
    from kairos.ledger import Entry, Fact, SqliteLedger
    from kairos.pipeline.cache import StepCache
    from kairos.pipeline.engine.local import LocalEngine
    from kairos.store.blobs import Store
    from kairos.store.counts import CountLog
    from kairos.store.pointer_files import Pointer
    from kairos.store.predictions import PredictionLog

__all__ = ["Project"]


class Project:
    """The parts of one project, wired together. Use it as a context manager: it closes what it opened.

    Args:
        root: The folder with ``kairos.toml``.
        home: Where facts and predictions are kept; ``None``: ``.kairos`` in the project. A replay has its own.
        clock: Tells the time.
        actor: Who acts, for the ledger; ``None``: the user's login name.
        workers: Processes that steps run in.
        stopping: Set by whoever wants what runs to end, where Ctrl-C does not reach; ``None``: nobody does.
        may_make_ledger: Whether a ledger that is not there is made; else it is an error that it is gone.
    """

    def __init__(
        self,
        root: Path,
        *,
        home: Path | None = None,
        clock: Clock | None = None,
        actor: str | None = None,
        workers: int = 2,
        stopping: threading.Event | None = None,
        may_make_ledger: bool = True,
    ) -> None:
        self.root = root.absolute()
        self.home = (home or self.root / ".kairos").absolute()
        self.clock = clock or SystemClock()
        self._actor = actor
        self.stopping = stopping or threading.Event()
        self._workers = workers
        self._may_make_ledger = may_make_ledger
        self._closers: list[Callable[[], None]] = []
        self._folded: DeliveryState | None = None

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers and closes the files."""
        while self._closers:
            self._closers.pop()()

    @cached_property
    def actor(self) -> str:
        """Who acts, for the ledger."""
        return self._actor or _login()

    @cached_property
    def settings(self) -> Settings:
        """``kairos.toml``, read once."""
        from kairos.app.settings import load_settings

        return load_settings(self.root)

    @cached_property
    def ledger(self) -> SqliteLedger:
        """The log of all facts."""
        from kairos.ledger import SqliteLedger

        return SqliteLedger(self.home / "ledger.db", may_make=self._may_make_ledger)

    @cached_property
    def dvc(self) -> Path:
        """The ``.dvc`` folder that counts: the project's own, or that of the repository that it lies in."""
        from kairos.store.dvc_config import find_dvc

        return find_dvc(self.root)

    @cached_property
    def run_index(self) -> RunIndex:
        """What finds runs in the ledger without reading all of them."""
        from kairos.experiments.index import RunIndex

        index = RunIndex(self.home / "runs.db", self.ledger)
        self._closers.append(index.close)
        return index

    @cached_property
    def store(self) -> Store:
        """The blobs, where DVC keeps them."""
        from kairos.store.blobs import Store
        from kairos.store.dvc_config import read_dvc_settings

        return Store(read_dvc_settings(self.dvc).cache)

    def store_of(self, pointer: Pointer) -> Store:
        """The store that keeps what a pointer names: that of today, or the one of DVC 1 and 2 in the same cache."""
        from kairos.store.old_layout import OldStore

        if not pointer.is_old:
            return self.store
        old = OldStore(self.store.root)
        is_here = self.store.has(pointer.digest) and not old.has(pointer.digest)  # where line ends are no question
        return self.store if is_here else old

    @cached_property
    def cache(self) -> StepCache:
        """Which computation gave which artifacts."""
        from kairos.pipeline.cache import StepCache

        cache = StepCache(self.home / "cache.db")
        self._closers.append(cache.close)
        return cache

    @cached_property
    def engine(self) -> LocalEngine:
        """The worker processes."""
        from kairos.pipeline.engine.local import LocalEngine

        engine = LocalEngine(workers=self._workers)
        self._closers.append(engine.close)
        return engine

    @cached_property
    def predictions(self) -> PredictionLog:
        """Every served answer, and the labels."""
        from kairos.store.predictions import PredictionLog

        return PredictionLog(self.home / "predictions")

    def roll(self) -> None:
        """Rolls what was predicted into tables, which makes it quick to read; where nothing may be written, not."""
        from kairos.ledger.sqlite import may_write

        if may_write(self.home / "predictions" / "any"):
            self.predictions.roll()

    @cached_property
    def counts(self) -> CountLog:
        """What versions on trial did, as counts of the server processes."""
        from kairos.store.counts import CountLog

        return CountLog(self.home / "counts")

    def state(self, *, until: datetime | None = None) -> DeliveryState:
        """Where every version stands, now or at a moment of the past."""
        from kairos.delivery.state import DeliveryState  # of many values: not for a run without models

        if until is not None:
            return DeliveryState.fold(self.ledger.read(until=until))
        start = self._folded or DeliveryState()
        self._folded = DeliveryState.fold(self.ledger.read(after=start.seq), start=start)
        return self._folded

    def tell(self, kind: str, *, subject: str, body: dict[str, Json], expect: int | None = None) -> Entry:
        """Writes a fact, now, by this project's actor."""
        return self.ledger.append(
            kind, subject=subject, body=body, actor=self.actor, at=self.clock.now(), expect=expect
        )

    def tell_all(self, facts: Sequence[Fact], *, expect: int | None = None) -> tuple[Entry, ...]:
        """Writes facts that are only true together: all or none."""
        return self.ledger.append_all(facts, actor=self.actor, at=self.clock.now(), expect=expect)


def _login() -> str:
    import getpass  # here, as it is needed by who writes a fact

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return "unknown"
