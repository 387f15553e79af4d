"""What a line of a file of labels says was true: a number, the name of a class, or a number for some targets."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kairos.errors import UsageError
from kairos.models.truths import AnyTruths, NamedTruths
from kairos.store.label_rows import Said

__all__ = ["Row", "ValueColumns", "several_targets"]

Row = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueColumns:
    """Which columns have the truth."""

    column: str | None = None
    """``None``: each of ``targets`` has one."""
    targets: tuple[str, ...] = ()

    @classmethod
    def find(
        cls, header: Sequence[str], *, own: str | None = None, several: Collection[tuple[str, ...]] = ()
    ) -> ValueColumns | None:
        """The columns of a header that have the truth; ``None``: there are none.

        Args:
            header: Names of columns.
            own: What the settings call the target.
            several: The targets of models that have several; a file may have some of them.
        """
        found = {tuple(name for name in targets if name in header) for targets in several} - {()}
        if found:
            return cls(targets=max(sorted(found), key=len))
        column = next((name for name in ("value", own) if name in header), None)
        return None if column is None else cls(column=column)

    def read(self, path: Path, line: int, row: Row, truths: Sequence[AnyTruths]) -> Said:
        """What a line says; of several targets an empty cell is one that is not known yet.

        Args:
            path: The file.
            line: Number of the line.
            row: Its cells.
            truths: What the labels that it may be about can be: they tell a name from a number.

        Raises:
            UsageError: it says nothing, or no finite number where one is needed.
        """
        if self.column is not None:
            return _number_or_name(path, line, row[self.column], truths)
        cells = {name: row[name] for name in self.targets}
        given = {name: text for name, text in cells.items() if text is not None and text.strip()}
        if not given:
            raise UsageError(
                f"Line {line} of {path.name} has no value.", accepted=f"one or more of {', '.join(self.targets)}"
            )
        return {name: _number(path, line, text, f"value of {name!r}") for name, text in given.items()}


def several_targets(truths: Sequence[AnyTruths]) -> list[tuple[str, ...]]:
    """The targets of those that have several."""
    return [each.targets for each in truths if isinstance(each, NamedTruths) and each.targets]


def _number_or_name(path: Path, line: int, text: str | None, truths: Sequence[AnyTruths]) -> Said:
    if text and any(each.takes(text) for each in truths):
        return text
    has_names = any(isinstance(each, NamedTruths) and each.outputs[0].has_text for each in truths)
    if text and text.strip() and has_names and not _is_number(text):
        return text  # of a class that nobody knows: said so where labels are looked at
    return _number(path, line, text, "value")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(path: Path, line: int, text: str | None, what: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"Line {line} of {path.name} has no {what}.", given=text, accepted="a finite number")
    return value
