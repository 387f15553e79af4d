"""What differs between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kairos.experiments.ports import CodeRecord, RunRecord
from kairos.pipeline.typed import typed
from kairos.values import canonical_json

__all__ = ["Change", "RunDifference", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One name whose value is not the same in both runs."""

    name: str
    kind: Literal["added", "changed", "removed"]
    """``added``: only the second run has it. That tells a value that is not there from one that is ``None``."""
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDifference:
    """Two runs, and what is not the same in them; each list is sorted by name."""

    before: str
    after: str
    """Ids of the two runs."""
    params: tuple[Change, ...]
    inputs: tuple[Change, ...]
    code: tuple[Change, ...]
    """``commit``, ``dirty_digest``, and the steps whose code differs."""
    metrics: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the runs had the same params, inputs and code, and gave the same metrics."""
        return not (self.params or self.inputs or self.code or self.metrics)


def compare(before: RunRecord, after: RunRecord) -> RunDifference:
    """What changed from one run to another. ``1``, ``1.0`` and ``"1"`` differ, and NaN does not from NaN."""
    return RunDifference(
        before=before.run,
        after=after.run,
        params=_changes(before.params, after.params),
        inputs=_changes(before.inputs, after.inputs),
        code=_changes(_code(before.code), _code(after.code)),
        metrics=_changes(before.metrics, after.metrics),
    )


def _code(code: CodeRecord) -> dict[str, Any]:
    state = {"commit": code.commit, "dirty_digest": code.dirty_digest}
    return {name: value for name, value in state.items() if value is not None} | {
        f"step {step}": digest for step, digest in code.steps.items()
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    changes = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            changes.append(Change(name=name, kind="removed", before=before[name]))
        elif name not in before:
            changes.append(Change(name=name, kind="added", after=after[name]))
        elif canonical_json(typed(before[name])) != canonical_json(typed(after[name])):
            changes.append(Change(name=name, kind="changed", before=before[name], after=after[name]))
    return tuple(changes)
