"""What a card is made of: sections of sentences and tables; and the section about simple models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kairos.experiments.baselines import beatings_of
from kairos.ledger import Entry
from kairos.values import VersionRef

__all__ = ["Section", "Table", "against_simple_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows below a head; ``pictures`` are the positions of columns whose blanks count."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a card: sentences, then a table."""

    title: str
    lines: tuple[str, ...] = ()
    table: Table | None = None


def against_simple_models(ref: VersionRef, run: Entry) -> Iterator[Section]:
    """The simple models that its run trained beside it; nothing of an older run."""
    found = beatings_of(run.body).get(ref.model)
    if found is None:
        return
    lines = [
        f"Its mean {found.loss.replace('_', ' ')} on the {found.rows:,} rows that its run held out is "
        f"{found.own_sentence}; intervals hold with chance {found.level:.0%}, rows reckoned as {found.dependence}."
    ]
    if found.chosen is not None:
        lines.append(f"The best of them on rows of training is {found.chosen.replace('_', ' ')}.")
    lines += [f"Not compared with {name.replace('_', ' ')}: {why}." for name, why in found.left_out.items()]
    rows = tuple(
        (
            each.name.replace("_", " "),
            f"{each.loss:.4g}",
            f"{each.difference:.4g}",
            "too few rows" if each.verdict == "unknown" else f"{each.lower:.4g} to {each.upper:.4g}",
            {"beats": "better", "no difference": "no more than chance", "worse": "worse"}.get(each.verdict, ""),
        )
        for each in found.compared
    )
    head = ("simple model", "its mean loss", "the model is better by", "between", "")
    yield Section(
        title="Against simple models", lines=tuple(lines), table=Table(head=head, rows=rows) if rows else None
    )
