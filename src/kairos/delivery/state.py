"""Where every version stands: a fold over the ledger. Nothing else keeps this state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from kairos.delivery.folding import MODEL_STEPS, VERSION_STEPS
from kairos.delivery.versions import Live, ModelState, Route, VersionState
from kairos.errors import NotFound, did_you_mean
from kairos.ledger import Entry
from kairos.values import VersionRef

__all__ = ["DeliveryState", "Live", "ModelState", "Route", "VersionState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """Where every version of every model stands, as of one ledger entry."""

    models: Mapping[str, ModelState] = field(default_factory=lambda: MappingProxyType({}))
    seq: int = 0

    @classmethod
    def fold(cls, entries: Iterable[Entry], *, start: DeliveryState | None = None) -> DeliveryState:
        """The state after these entries; ``start`` is the state before the first of them."""
        state = start if start is not None else cls()
        models = dict(state.models)
        seq = state.seq
        for entry in entries:
            seq = entry.seq
            if entry.kind in VERSION_STEPS:
                ref = VersionRef.parse(entry.subject)
                after = VERSION_STEPS[entry.kind](models.get(ref.model, ModelState(model=ref.model)), ref, entry)
            elif entry.kind in MODEL_STEPS:
                after = MODEL_STEPS[entry.kind](models.get(entry.subject, ModelState(model=entry.subject)), entry)
            else:
                continue
            models[after.model] = replace(after, seq=entry.seq)
        return cls(models=MappingProxyType(models), seq=seq)

    def model(self, name: str) -> ModelState:
        """That model.

        Raises:
            NotFound: no version of it was ever registered.
        """
        if name not in self.models:
            raise NotFound(
                f"There is no model {name!r}.",
                accepted=", ".join(sorted(self.models)) or "none is registered yet",
                hint=did_you_mean(name, self.models) or "Type: kairos run",
            )
        return self.models[name]

    def routes(self) -> list[Route]:
        """What a server does, model by model, in the order of their names."""
        return [self.models[name].route() for name in sorted(self.models)]
