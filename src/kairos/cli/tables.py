"""``data diff``, ``data show``, ``data contract infer``: looking at tables, wherever they are."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json, table
from kairos.errors import UsageError
from kairos.values import plain

if TYPE_CHECKING:
    from kairos.app.project import Project
    from kairos.pipeline.diff.result import ColumnDiff, ColumnFacts, TableDiff

__all__ = ["diff", "infer", "show"]

_SHOWN_COLUMNS = 40
_WIDEST = 60


def diff(args: Namespace) -> int:
    """Says what differs between two versions of a table."""
    from kairos.app.diffing import diff_tables

    key = [name for each in args.key for name in each.split(",") if name]
    with _project_if_any(args) as project:
        found = diff_tables(project, args.first, args.second, key=key, examples=args.rows)
    if args.json:
        shown = [{**plain_row(vars_of(each)), "row": plain_row(each.row)} for each in found.examples]
        columns = [plain(column) for column in found.columns]
        whole = {name: getattr(found, name) for name in ("before", "after", "rows_before", "rows_after", "key", "rows")}
        show_json(
            {"is_same": found.is_same, **plain(whole), "columns": columns, "sampled": found.sampled, "examples": shown}
        )
        return 0
    _tell(found)
    return 0


def show(args: Namespace) -> int:
    """Prints the first rows of a table."""
    from kairos.app.diffing import scratch
    from kairos.app.tables import find_table

    with _project_if_any(args) as project, scratch(project) as workdir:
        files = find_table(project, args.table, workdir=workdir)
        schema = files.schema()
        rows = [row for batch in islice(files.batches(), 1) for row in batch.head(args.count).iter_rows(named=True)]
    if args.json:
        types = {name: str(kind) for name, kind in schema.items()}
        show_json({"table": files.name, "columns": types, "rows": [plain_row(row) for row in rows]})
        return 0
    table([f"{name} ({kind})" for name, kind in schema.items()], [[_cell(v) for v in row.values()] for row in rows])
    return 0


def infer(args: Namespace) -> int:
    """Drafts a contract from a table."""
    from kairos.app.drafting import infer_contract

    if args.output is not None and args.output.exists():
        raise UsageError(
            "There is a file already, and people may have worked on it.",
            given=str(args.output),
            hint=f"Type: kairos data contract infer {args.table} > NEW.py, and compare them.",
        )
    with _project_if_any(args) as project:
        text = infer_contract(project, args.table)
    if args.output is not None:
        args.output.write_text(text, encoding="utf-8")
    if args.json:
        show_json({"file": None if args.output is None else str(args.output), "code": text})
    elif args.output is None:
        print(text, end="")
    else:
        say(f"{args.output} is a draft: read it, change it, and annotate a step with it.")
    return 0


@contextmanager
def _project_if_any(args: Namespace) -> Iterator[Project | None]:
    """The project around the folder; outside of one there are files."""
    try:
        project = open_project(args)
    except UsageError:
        project = None
    if project is None:
        yield None
        return
    with project:
        yield project


def vars_of(example: Any) -> dict[str, Any]:
    """The parts of an example that are there."""
    parts = {"how": example.how, "was": example.was, "now": example.now}
    return {name: plain_row(v) if isinstance(v, Mapping) else v for name, v in parts.items() if v is not None}


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON holds it: what has no JSON form is told as text."""
    return {name: _plain_cell(value) for name, value in row.items()}


def _plain_cell(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain_row(value)
    if value is None or isinstance(value, str | bool | int | float):
        return plain(value)
    if isinstance(value, list):
        return [_plain_cell(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _tell(found: TableDiff) -> None:
    say(
        f"before  {found.before}  {found.rows_before:,} rows",
        f"after   {found.after}  {found.rows_after:,} rows",
    )
    if found.is_same:
        say("The same rows, columns and types.")
        return
    rows, how = (
        found.rows,
        f"by {', '.join(found.key)}" if found.key else "as whole rows; --key COLUMN tells changed ones",
    )
    changed = f"changed {rows.changed:,}   " if found.key else ""
    say(f"rows    added {rows.added:,}   removed {rows.removed:,}   {changed}unchanged {rows.unchanged:,}   ({how})")
    if rows.repeated_before or rows.repeated_after:
        say(
            f"        the key is not unique: {rows.repeated_before:,} rows before and {rows.repeated_after:,} after "
            "share theirs; they were compared as whole rows"
        )
    for line in _schema(found.columns):
        say(f"columns {line}")
    lines = [(column, _line(column)) for column in found.columns if column.before and column.after]
    shown = [line for column, line in lines if _differs(column)]
    if shown:
        say("")
        table(("column", "changed", "missing", "mean", "range", "distance"), shown[:_SHOWN_COLUMNS])
        if len(shown) > _SHOWN_COLUMNS:
            say(f"and {len(shown) - _SHOWN_COLUMNS} more; --json tells all")
        if any(column.has_moved for column, _ in lines):
            say(f"* proven to be above 0.1, on {found.sampled:,} rows")
    for example in found.examples:
        said = ", ".join(f"{name}={_cell(value)}" for name, value in example.row.items())
        if example.was is not None and example.now is not None:
            moves = (f"{name}: {_cell(v)} -> {_cell(example.now[name])}" for name, v in example.was.items())
            said += "  " + ", ".join(moves)
        say(f"{example.how:8}{said}")


def _schema(columns: tuple[ColumnDiff, ...]) -> Iterator[str]:
    for column in columns:
        if column.before is None and column.after is not None:
            yield f"+ {column.name} {column.after.type}"
        elif column.after is None and column.before is not None:
            yield f"- {column.name} {column.before.type}"
        elif column.before and column.after and column.before.type != column.after.type:
            yield f"~ {column.name} {column.before.type} -> {column.after.type}"


def _differs(column: ColumnDiff) -> bool:
    return column.before != column.after or bool(column.changed) or bool(column.distance)


def _line(column: ColumnDiff) -> list[str]:
    before, after = column.before, column.after
    assert before is not None
    assert after is not None  # asked for columns of both only
    distance = "" if column.distance is None else f"{column.distance:.3f}{'*' if column.has_moved else ''}"
    return [
        column.name[:_WIDEST],
        "" if column.changed is None else f"{column.changed:,}",
        _moved(f"{before.missing:,}", f"{after.missing:,}"),
        _moved(_number(before.mean), _number(after.mean)),
        _moved(_range(before), _range(after)),
        distance,
    ]


def _moved(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _range(facts: ColumnFacts) -> str:
    return "" if facts.least is None else f"{_number(facts.least)} to {_number(facts.most)}"


def _number(value: Any) -> str:
    if isinstance(value, str):
        return value[:19]
    return "" if value is None else f"{value:.6g}"


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
