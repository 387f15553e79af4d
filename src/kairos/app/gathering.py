"""A gate's rows: what both models say of what neither has seen, and what may tie these rows together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import polars as pl
from numpy.typing import NDArray

from kairos.app.losses import answers_on, lists_in, moments, simple_answers, truth_on
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import SettingsError
from kairos.gates.lists import Lists
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.ledger import Entry
from kairos.models.frames import read_column
from kairos.models.outputs import Output, among
from kairos.models.package import Package
from kairos.values import Digest, VersionRef, Window

__all__ = ["differ", "gate_rows", "labelled_rows_per_day", "rank_among"]

_RECENT = timedelta(days=28)
_ENOUGH_DAYS = 2.0


def gate_rows(
    rows: pl.DataFrame,
    model: ModelSettings,
    policy: GatePolicy,
    *,
    challenger: Package,
    champion: Package | None,
    digest: Digest,
    champion_rows: pl.DataFrame | None = None,
) -> GateRows:
    """Both models' answers on fresh rows, with what the policy asks about.

    Where the settings name no time, a column of times is taken as the moments of the rows all the same: it can only
    make the gate more careful. ``champion_rows`` are the same rows, one by one, with the champion's own inputs, where
    these are not among the others.
    """
    named = {*policy.slices, *policy.groups, *(name.partition("=")[0] for name in policy.protected)}
    time = model.time if model.time in rows.columns else _a_time(rows)
    inputs = [n for n in challenger.spec.signature.names if n in rows.columns and n not in policy.slices]
    said = _Said.of(rows, model, challenger, champion, rows if champion_rows is None else champion_rows)
    if (lists := lists_in(rows, challenger)) is not None:  # a list is what the gate counts, told by its first row
        _check_alike(rows, lists, named)
        inputs = [name for name in inputs if _is_alike(rows[name], lists)]
        rows = rows[lists.firsts]
    return GateRows(
        truth=said.truth,
        challenger=said.challenger,
        champion=said.champion,
        simple=said.simple,
        times=None if time is None else _times(rows, time),
        entities=None if model.entity is None else rows[model.entity].to_numpy(),
        columns={name: rows[name].to_list() for name in sorted(named) if name in rows.columns},
        inputs={name: rows[name].to_numpy() for name in inputs},
        names=() if model.entity is not None else tuple(_names(rows, challenger)),
        digest=digest,
        time_column=None if model.time is not None else time,
    )


def _check_alike(rows: pl.DataFrame, lists: Lists, named: Iterable[str]) -> None:
    """Refuses slices and groups that part a list: it is judged as a whole."""
    for name in sorted(named):
        if name in rows.columns and not _is_alike(rows[name], lists):
            raise SettingsError(
                f"The column {name!r} cannot part lists that are ranked: it differs within a list.",
                accepted="a column that is the same in all rows of a list",
            )


def _is_alike(values: pl.Series, lists: Lists) -> bool:
    """Whether a column has one value in each list."""
    codes = values.rank("dense").fill_null(0).to_numpy()
    return bool((codes == codes[lists.firsts][lists.of_row]).all())


def differ(one: Package, other: Package) -> bool:
    """Whether two packages answer with other outputs, so that no loss judges both; other classes are no such thing."""
    outputs = one.spec.signature.outputs, other.spec.signature.outputs
    if one.spec.goals != other.spec.goals or one.spec.rank_within != other.spec.rank_within:
        return True
    return [_form(each) for each in outputs[0]] != [_form(each) for each in outputs[1]]


def _form(output: Output) -> tuple[object, ...]:
    return output.name, output.kind, output.quantiles


class _Said(NamedTuple):
    """What was true, and what each said, in the same classes if there are classes."""

    truth: NDArray[Any]
    challenger: NDArray[Any]
    champion: NDArray[Any] | None
    simple: NDArray[Any]

    @classmethod
    def of(
        cls,
        rows: pl.DataFrame,
        model: ModelSettings,
        challenger: Package,
        champion: Package | None,
        champion_rows: pl.DataFrame,
    ) -> _Said:
        own, simple = answers_on(rows, challenger, model), simple_answers(rows, challenger)
        rival = None if champion is None else answers_on(champion_rows, champion, model)
        outputs = challenger.spec.signature.outputs
        if champion is None or rival is None or not outputs or outputs[0].kind != "class":
            return cls(truth_on(rows, challenger), own, rival, simple)
        mine, other = outputs[0], champion.spec.signature.outputs[0]
        classes = (*mine.classes, *(each for each in other.classes if each not in mine.classes))
        truth = replace(mine, classes=classes).codes(read_column(rows, mine.name).values.tolist())
        return cls(truth, among(mine, classes, own), among(other, classes, rival), among(mine, classes, simple))


def _times(rows: pl.DataFrame, column: str) -> NDArray[Any]:
    """The moments of the rows in UTC, whether the column has times, dates or text."""
    found = rows.select(moments(column, rows.schema[column])).to_series()
    return found.dt.replace_time_zone(None).to_numpy()


def _a_time(rows: pl.DataFrame) -> str | None:
    """The only column of times or dates without gaps, if there is one; else the only one of text that is all times."""
    found = [n for n, dtype in rows.schema.items() if dtype.is_temporal() and not rows[n].null_count()]
    if found:
        return found[0] if len(found) == 1 and isinstance(rows.schema[found[0]], (pl.Datetime, pl.Date)) else None
    texts = [n for n, dtype in rows.schema.items() if dtype == pl.String and len(rows) and _is_time(rows[n])]
    return texts[0] if len(texts) == 1 else None


def _is_time(values: pl.Series) -> bool:
    """Whether each text is a time; most columns of text are told apart by their first value."""
    for part in (values.head(1), values):
        try:
            known = part.to_frame().select(moments(part.name, pl.String())).to_series()
        except pl.exceptions.PolarsError:
            return False
        if known.null_count():
            return False
    return True


def _names(rows: pl.DataFrame, package: Package) -> list[tuple[str, NDArray[Any]]]:
    """Columns that look like names of whom rows are about, though the settings name no entity."""
    found = []
    for name, dtype in rows.schema.items():
        is_name = name.lower() == "id" or name.lower().endswith(("_id", "_key"))
        if is_name and name not in package.spec.goals and (dtype.is_integer() or dtype == pl.String):
            count = rows[name].n_unique()
            if 2 <= count <= len(rows) / 2:
                found.append((name, rows[name].cast(pl.String).fill_null("").to_numpy()))
    return found


def labelled_rows_per_day(project: Project, model: ModelSettings) -> float | None:
    """Answers with a known truth that a day brought, over the last four weeks; ``None`` if there is no telling."""
    now = project.clock.now()
    rows = project.predictions.labelled(model.name, Window(now - _RECENT, now), as_of=now).filter(pl.col("answered"))
    if len(rows) < 2:
        return None
    times = rows["at"].to_list()  # in order
    days = (times[-1] - times[0]).total_seconds() / 86400
    return (rows["id"].n_unique() - 1) / days if days >= _ENOUGH_DAYS else None


def rank_among(gates: list[Entry], ref: VersionRef, against: VersionRef | None, digest: Digest) -> int:
    """The how-manyeth comparison this is on these rows; the same one again is the same one."""
    seen: list[tuple[str, str | None]] = []
    for entry in gates:
        evidence = entry.body.get("evidence")
        pair = (entry.subject, entry.body.get("against"))
        is_mine = entry.subject.partition("@")[0] == ref.model
        if is_mine and evidence is not None and evidence.get("rows_digest") == digest and pair not in seen:
            seen.append(pair)
    mine = (str(ref), None if against is None else str(against))
    return seen.index(mine) + 1 if mine in seen else len(seen) + 1
