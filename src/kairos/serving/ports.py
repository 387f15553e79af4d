"""What the server needs from outside: packages, routes, a place for predictions, and each model's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from kairos.delivery.state import Live, Route
from kairos.models.signature import Signature
from kairos.models.truths import AnyTruths, Truths
from kairos.privacy.capture import CapturePolicy
from kairos.serving.guard import OutputGuard
from kairos.store.batch import Predictions
from kairos.store.counts import Comparison, FailedLoad, Sheet
from kairos.store.records import EntityLabel, Label
from kairos.store.spool import Commit
from kairos.values import Digest

__all__ = [
    "CountSink",
    "LimitSource",
    "Loader",
    "ModelPolicy",
    "PolicySource",
    "PredictionSink",
    "RouteSource",
    "Runner",
    "ServablePackage",
    "ServableSpec",
]


class Runner(Protocol):
    """Predicts; safe to call from several threads at once.

    One that has ``is_bounded`` set says that a call cannot hang, and is called without a thread to wait for it.
    """

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), for columns of shape (n,) as ``Signature.parse_rows`` gives them."""
        ...


class ServableSpec(Protocol):
    """What the server reads of a package's description."""

    @property
    def signature(self) -> Signature:
        """The columns and the output."""
        ...

    @property
    def entity(self) -> str | None:
        """The field that says whom a row is about; it need not be a column of the signature."""
        ...

    @property
    def time(self) -> str | None:
        """The field that says when a row is about; the same."""
        ...

    @property
    def rank_within(self) -> str | None:
        """The field that says in which list a row is ranked; ``None``: the model ranks nothing."""
        ...

    @property
    def item(self) -> str | None:
        """The field that says which thing of its list a row is; ``None``: none does."""
        ...


class ServablePackage(Protocol):
    """An opened model package."""

    @property
    def spec(self) -> ServableSpec:
        """Its description."""
        ...

    def runner(self) -> Runner:
        """Its runner; may raise ``PackageError``."""
        ...


class PredictionSink(Protocol):
    """Takes predictions and labels; safe from several threads. What it has returned from survives ``kill -9``.

    What appends raises ``StoreError`` when it could keep nothing.
    """

    is_durable: bool
    """Whether no answer may leave before its predictions survive a power cut."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be kept at the moment; ``None``: nothing is known to be wrong."""
        ...

    def append(self, predictions: Predictions) -> Commit | None:
        """Keeps all of them or none; of a durable sink, gives the commit that says when they survive a power cut."""
        ...

    def append_labels(self, labels: Sequence[Label]) -> None:
        """Keeps all of them or none."""
        ...

    def append_entity_labels(self, labels: Sequence[EntityLabel]) -> None:
        """Keeps all of them or none."""
        ...

    def close(self) -> None:
        """Ends writing."""
        ...


class CountSink(Protocol):
    """Takes the totals of one process; safe from several threads. ``write`` raises ``StoreError`` if it cannot."""

    def write(
        self,
        sheets: Sequence[Sheet],
        *,
        failed_loads: Sequence[FailedLoad] = (),
        now: datetime,
        has_ended: bool = False,
    ) -> None:
        """Replaces what was written before."""
        ...

    def close(self) -> None:
        """Ends writing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """The project's rules for one model: what may leave, and what may be kept."""

    guard: OutputGuard = field(default_factory=OutputGuard)
    capture: CapturePolicy = field(default_factory=lambda: CapturePolicy(keep=frozenset(), entity="drop"))
    """By default no input and no entity is written down."""
    events: frozenset[str] = frozenset()
    """Names of what may happen to users and is counted."""
    truths: AnyTruths = field(default_factory=Truths)
    """What a label can be."""
    values: frozenset[str] = frozenset()
    """Names of events that tell what a request was worth."""
    timeout: timedelta | None = None
    """After this a call is given up where another version can answer; ``None``: never."""
    label_tolerance: timedelta = timedelta(0)
    """How far the time of a label by entity may be from the time of the prediction that it is about."""


Loader = Callable[[Digest], ServablePackage]
"""Opens the package of that digest; raises a ``KairosError`` if it cannot."""

RouteSource = Callable[[int], "list[Route] | None"]
"""Given the last ledger entry the server follows: ``None`` if there is nothing newer, else the routes of all models."""

PolicySource = Callable[[Live, Signature], ModelPolicy]
"""The rules for a version as it was deployed, given its signature."""

LimitSource = Callable[[Comparison], "Mapping[str, int]"]
"""What is too slow in a comparison, in microseconds by name, and between which numbers amounts are kept, in parts
(``kairos.store.counts``); the same whenever and in whichever process it is asked."""
