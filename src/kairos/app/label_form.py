"""The lines of a file of labels that name no predictions: what they are about, and where they have what was true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kairos.app.label_values import Row, ValueColumns, several_targets
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.truths import live_truths
from kairos.errors import UsageError, did_you_mean
from kairos.models.truths import AnyTruths
from kairos.privacy import CapturePolicy, load_or_make_key
from kairos.store.label_rows import Said, said_rows, said_text
from kairos.store.records import EntityLabel
from kairos.values import parse_moment

__all__ = ["LabelForm", "entity_policy", "improper", "is_proper", "no_labels"]


def entity_policy(project: Project, model: ModelSettings) -> CapturePolicy:
    """What the prediction log keeps of an entity of this model."""
    key = load_or_make_key(project.home / "capture.key")
    return CapturePolicy(keep=frozenset(), entity=model.privacy.entity, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelForm:
    """Where the lines of a file say what a label is about: an entity and a time, or a list; and in it which item."""

    model: ModelSettings
    about: _About
    columns: ValueColumns
    policy: CapturePolicy
    truths: Sequence[AnyTruths]
    now: datetime

    @classmethod
    def of(cls, project: Project, path: Path, header: Sequence[str], name: str | None) -> LabelForm:
        """What the columns of a file say.

        Args:
            project: Whose.
            path: The file.
            header: Names of its columns.
            name: Which model its labels are about; ``None``: the only one there is.

        Raises:
            UsageError: a column is missing, or the log keeps nothing by which such labels could be joined.
        """
        known = project.settings.models
        if name is None and len(known) != 1:
            raise UsageError(
                f"Which model the labels in {path.name} are about is not said.",
                given=", ".join(header) or "an empty file",
                accepted=f"a header with prediction_id and value, or --model with one of {', '.join(sorted(known))}",
            )
        model = project.settings.model(name or next(iter(known)))
        truths, about = live_truths(project, model), _About.of(header, model)
        several = several_targets(truths) or ([model.targets] if model.targets else [])
        columns = ValueColumns.find(header, own=model.target, several=several)
        if model.rank_within is not None and about.item is None:
            raise _no_item(path, header, model)
        if columns is None or not about.is_enough(model):
            raise no_labels(path, header, f"prediction_id and value, or with {_needed(model)}")
        if model.privacy.entity == "drop" and (about.entity is not None or about.item is not None):
            what = "entities" if about.item is None else "lists and items"
            raise UsageError(
                f"The labels in {path.name} name {what}, and those of {model.name!r} are not kept.",
                accepted="prediction_id and value",
                hint=f'Set model.{model.name}.privacy.entity = "pseudonym".',
            )
        policy, now = entity_policy(project, model), project.clock.now()
        return cls(model=model, about=about, columns=columns, policy=policy, truths=truths, now=now)

    def label(self, path: Path, line: int, row: Row) -> list[EntityLabel]:
        """What a line says, for each target that it says something of.

        Raises:
            UsageError: it names nothing, or its value is no number or cannot be true.
        """
        about = self.about
        return [
            EntityLabel(
                model=self.model.name,
                key=self._key(path, line, row, about.entity),
                about=None if about.time is None else _moment(path, line, row, about.time),
                list_key=self._key(path, line, row, about.list),
                item_key=self._key(path, line, row, about.item),
                at=self.now,
                within_s=self.model.monitor.label_tolerance.total_seconds(),
                **said._asdict(),
            )
            for said in said_rows(self._value(path, line, row))
        ]

    def _key(self, path: Path, line: int, row: Row, column: str | None) -> str | None:
        """What a cell names, as the log keeps it."""
        return None if column is None else self.policy.apply({}, _text(path, line, row, column)).key

    def _value(self, path: Path, line: int, row: Row) -> Said:
        value = self.columns.read(path, line, row, self.truths)
        if not is_proper(self.truths, value):
            raise improper(path, line, value, self.model, self.truths)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """Columns that say what a label is about; ``None``: they do not."""

    entity: str | None = None
    time: str | None = None
    list: str | None = None
    item: str | None = None

    @classmethod
    def of(cls, header: Sequence[str], model: ModelSettings) -> _About:
        """The columns of a header: by our names for them, or by the settings' own. A list needs no entity and time."""
        item = _column(header, "item", model.item) if model.item is not None else None
        where = _column(header, "list", model.rank_within) if item is not None else None
        if where is not None:
            return cls(list=where, item=item)
        return cls(entity=_column(header, "entity", model.entity), time=_column(header, "time", model.time), item=item)

    def is_enough(self, model: ModelSettings) -> bool:
        """Whether they say which predictions of a model a label is about."""
        return self.list is not None or (self.time is not None and (self.entity is not None or model.entity is None))


def _needed(model: ModelSettings) -> str:
    """The columns that a file needs whose labels name no predictions."""
    mine = ["entity"] if model.entity is not None else []
    if model.rank_within is None:
        return ", ".join([*mine, "time"]) + " and value"
    return f"list, item and value, or with {', '.join([*mine, 'time'])}, item and value"


def _no_item(path: Path, header: Sequence[str], model: ModelSettings) -> UsageError:
    hint = f'Or set model.{model.name}.item = "COLUMN", train again, and have requests send it.'
    return UsageError(
        f"The labels in {path.name} name no predictions, and {model.name!r} ranks several rows at one time.",
        given=", ".join(header),
        accepted="prediction_id and value" if model.item is None else f"prediction_id and value, or {_needed(model)}",
        hint=hint if model.item is None else None,
    )


def is_proper(truths: Sequence[AnyTruths], value: Said) -> bool:
    """Whether it can be true, as one of the versions that answer has it."""
    return any(each.takes(value) for each in truths)


def improper(
    path: Path, line: int, value: Said, model: ModelSettings, truths: Sequence[AnyTruths], *, about: str | None = None
) -> UsageError:
    of = "" if about is None else f" the prediction {about!r} of"
    return UsageError(
        f"Line {line} of {path.name} has a value that{of} the model {model.name!r} cannot be judged by.",
        given=said_text(value),
        accepted=", or ".join(dict.fromkeys(each.plain() for each in truths)),
    )


def no_labels(path: Path, header: Sequence[str], accepted: str) -> UsageError:
    return UsageError(
        f"{path.name} has no labels.",
        given=", ".join(header) or "an empty file",
        accepted=f"a header with {accepted}",
        hint=did_you_mean(header[0], ["prediction_id", "entity", "time", "value"]) if header else None,
    )


def _column(header: Sequence[str], name: str, own: str | None) -> str | None:
    """The column of that name, or of the name that the settings have for it."""
    return next((column for column in (name, own) if column in header), None)


def _moment(path: Path, line: int, row: Row, column: str) -> datetime:
    text = _text(path, line, row, column)
    try:
        return parse_moment(text)
    except UsageError as error:
        raise UsageError(f"Line {line} of {path.name} has no time.", given=text, accepted=error.accepted) from None


def _text(path: Path, line: int, row: Row, column: str) -> str:
    text = row[column]
    if text is None or not text.strip():
        raise UsageError(f"Line {line} of {path.name} has no {column}.", given=text, accepted=f"a value in {column!r}")
    return text
