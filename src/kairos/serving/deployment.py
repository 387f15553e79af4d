"""Which versions are loaded, and how they are reached: values that never change once a request holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kairos.delivery.state import Live, Route
from kairos.errors import NotFound, PackageError, Unavailable, did_you_mean
from kairos.models.arrays import nested
from kairos.models.outputs import answers_a_row
from kairos.models.signature import Column, Signature
from kairos.models.truths import AnyTruths
from kairos.serving.cutoff import CutOff
from kairos.serving.faults import Faults
from kairos.serving.guard import Said
from kairos.serving.ports import Loader, ModelPolicy, PolicySource, Runner
from kairos.serving.rows import Intake
from kairos.store.counts import Comparison
from kairos.values import Digest, Json, VersionRef

__all__ = [
    "Compared",
    "Deployment",
    "Divergence",
    "LoadedRoute",
    "LoadedVersion",
    "Role",
    "Trouble",
    "compared",
    "load_route",
    "load_version",
]

Role = Literal["champion", "challenger", "previous"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedVersion:
    """A version in memory that has made at least one prediction."""

    ref: VersionRef
    package: Digest
    serving: str | None = None
    """The serving settings of its deployment, as in ``Live``."""
    signature: Signature
    entity: str | None
    time: str | None
    rank_within: str | None = None
    """The field that says in which list a row is ranked; ``None``: it ranks nothing."""
    item: str | None = None
    """The field that says which thing of its list a row is."""
    runner: Runner
    policy: ModelPolicy
    faults: Faults = field(default_factory=Faults)
    """Where its failures are told."""
    cutoff: CutOff = field(default_factory=CutOff)
    """Through which it is called where it may be given up."""
    intake: Intake = field(init=False)
    """What protocols have to know of it."""
    is_bounded: bool = field(init=False)
    """Whether how long a call takes depends on its number of rows alone, so that nobody need be ready to give it up."""

    def __post_init__(self) -> None:
        intake = Intake(
            signature=self.signature,
            entity=self.entity,
            time=self.time,
            rank_within=self.rank_within,
            item=self.item,
        )
        object.__setattr__(self, "intake", intake)
        object.__setattr__(self, "is_bounded", getattr(self.runner, "is_bounded", False))

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]], rows: int) -> Sequence[Said]:
        """One number a row, or those of all outputs.

        Raises:
            PackageError: the runner gave something else.
        """
        raw = np.asarray(self.runner.predict(columns))
        if self.signature.outputs:
            return list(map(tuple, answers_a_row(raw, rows, self.signature.outputs).tolist()))
        if raw.shape != (rows,) or raw.dtype.kind not in "fiub":
            raise PackageError(
                f"{self.ref} did not give one number a row.",
                given=f"{raw.dtype} of shape {raw.shape}",
                accepted=f"numbers of shape ({rows},)",
            )
        values: list[float] = raw.astype(np.float64, copy=False).tolist()
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two versions that meet the same requests, and how many of these the one under test answers."""

    comparison: Comparison
    share: float
    """0 in shadow, 1 in a bake."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedRoute:
    """What is done with requests for one model, with its versions in memory."""

    model: str
    champion: LoadedVersion
    challenger: LoadedVersion | None
    previous: LoadedVersion | None
    share: float
    """The part of keys that the challenger answers; 0 in shadow."""
    salt: str
    compared: tuple[Compared, ...] = ()
    """What is counted of its requests."""

    @property
    def versions(self) -> tuple[tuple[Role, LoadedVersion], ...]:
        """The loaded versions with their roles; the champion first."""
        found: list[tuple[Role, LoadedVersion]] = [("champion", self.champion)]
        if self.challenger is not None:
            found.append(("challenger", self.challenger))
        if self.previous is not None:
            found.append(("previous", self.previous))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A version that should be loaded and could not be."""

    ref: VersionRef
    package: Digest
    role: Role
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """A model whose users are answered by another version than the ledger says is live."""

    model: str
    ledger: VersionRef
    """The champion as the ledger tells it."""
    answers: VersionRef | None
    """The champion in memory; ``None``: nothing answers."""
    reason: str
    """Why the ledger's could not be loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """All loaded routes at one moment. A request keeps the one it met at the door, so a swap never mixes versions."""

    routes: Mapping[str, LoadedRoute]
    wanted: frozenset[str] = frozenset()
    """Models that have a champion in the ledger."""
    troubles: tuple[Trouble, ...] = ()
    seq: int = 0
    """The last ledger entry that this follows from."""
    is_known: bool = False
    """Whether it follows from a ledger that was read; what is live is not known before."""

    @property
    def diverged(self) -> tuple[Divergence, ...]:
        """Where the ledger's champion is not the one that answers."""
        return tuple(
            Divergence(
                model=trouble.ref.model,
                ledger=trouble.ref,
                answers=self.routes[trouble.ref.model].champion.ref if trouble.ref.model in self.routes else None,
                reason=trouble.reason,
            )
            for trouble in self.troubles
            if trouble.role == "champion"
        )

    @property
    def truths(self) -> dict[str, list[AnyTruths]]:
        """What the labels of each model can be, as each of its versions has it."""
        return {name: [version.policy.truths for _, version in route.versions] for name, route in self.routes.items()}

    def route(self, model: str) -> LoadedRoute:
        """The route of that model.

        Raises:
            Unavailable: the model is known and no version of it could be loaded.
            NotFound: no version of such a model is live.
        """
        route = self.routes.get(model)
        if route is not None:
            return route
        if model in self.wanted:
            raise Unavailable(f"No version of the model {model!r} could be loaded.", hint="See /health/ready.")
        if not self.is_known:
            raise Unavailable("Which models are live is not known yet.", hint="See /health/ready.")
        raise NotFound(
            f"No version of a model {model!r} is live.",
            accepted=", ".join(sorted(self.routes)) or "no model is live yet",
            hint=did_you_mean(model, self.routes),
        )


def load_version(live: Live, *, load: Loader, policy: PolicySource) -> LoadedVersion:
    """Opens a package and makes one prediction with it, so that the first user does not wait for caches.

    Raises:
        Exception: whatever the package, or the estimator in it, raises.
    """
    package = load(live.package)
    signature = package.spec.signature
    version = LoadedVersion(
        ref=live.ref,
        package=live.package,
        serving=live.serving,
        signature=signature,
        entity=package.spec.entity,
        time=package.spec.time,
        rank_within=package.spec.rank_within,
        item=package.spec.item,
        runner=package.runner(),
        policy=policy(live, signature),
    )
    version.predict(signature.parse_rows([{c.name: _typical(c) for c in signature.columns}]), 1)
    return version


def load_route(
    route: Route, *, loaded: Iterable[LoadedVersion], before: LoadedRoute | None, load: Loader, policy: PolicySource
) -> tuple[LoadedRoute | None, tuple[Trouble, ...]]:
    """Loads what a route names and is not loaded yet.

    A champion that cannot be loaded leaves the route as it was before, which ``Deployment.diverged`` tells; any other
    version is left out. So a damaged package never takes a model down.

    Returns:
        The route, or ``None`` if no champion is wanted or none was ever loaded; and what could not be loaded.
    """
    have = {(version.ref, version.package, version.serving): version for version in loaded}
    troubles: list[Trouble] = []

    def get(role: Role, live: Live | None) -> LoadedVersion | None:
        if live is None:
            return None
        try:
            return have.get((live.ref, live.package, live.serving)) or load_version(live, load=load, policy=policy)
        except Exception as error:  # the estimator inside may raise anything; the reason is shown in /health/ready
            reason = f"{type(error).__name__}: {error}"
            troubles.append(Trouble(ref=live.ref, package=live.package, role=role, reason=reason))
            return None

    champion = get("champion", route.champion)
    if route.champion is None:
        return None, ()
    if champion is None:
        return before, tuple(troubles)
    challenger = get("challenger", route.challenger)
    loaded_route = LoadedRoute(
        model=route.model,
        champion=champion,
        challenger=challenger,
        previous=get("previous", route.previous),
        share=route.share if route.stage == "canary" and challenger is not None else 0.0,
        salt=route.salt,
        compared=compared(route),
    )
    return loaded_route, tuple(troubles)


def compared(route: Route) -> tuple[Compared, ...]:
    """What is to be counted of a route's requests: the challenger beside the champion, the champion beside the former.

    A champion and the one before it keep the comparison that they had during the trial.
    """
    found = []
    for base, test, since, share in (
        (route.champion, route.challenger, route.trial_since, route.share if route.stage == "canary" else 0.0),
        (route.previous, route.champion, route.bake_since, 1.0),
    ):
        if base is not None and test is not None and since is not None:
            comparison = Comparison(model=route.model, base=base.ref.number, test=test.ref.number, since=since)
            found.append(Compared(comparison=comparison, share=share))
    return tuple(found)


def _typical(column: Column) -> Json:
    """A value that the column accepts, near what training held."""
    if column.kind == "boolean":
        return False
    if column.kind in ("category", "text"):
        return column.levels[0] if column.levels else ""
    if column.kind == "array":
        return nested(column.lower or 0.0, column.example_shape)
    lower = column.lower if column.lower is not None and math.isfinite(column.lower) else 0.0
    return math.ceil(lower) if column.kind == "integer" else lower
