"""Two versions of a table compared, wherever they are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kairos.app.project import Project
from kairos.app.tables import find_table
from kairos.ledger.sqlite import may_write
from kairos.pipeline.diff.result import TableDiff
from kairos.pipeline.diff.tables import compare_tables

__all__ = ["diff_tables", "scratch"]


def diff_tables(
    project: Project | None, before: str, after: str, *, key: Sequence[str] = (), examples: int = 0
) -> TableDiff:
    """What differs between two tables, named as ``find_table`` takes them.

    Raises:
        KairosError: as ``find_table`` and ``compare_tables`` do.
    """
    with scratch(project) as workdir:
        tables = [find_table(project, name, workdir=workdir) for name in (before, after)]
        return compare_tables(*tables, key=key, workdir=workdir / "parts", examples=examples)


@contextmanager
def scratch(project: Project | None) -> Iterator[Path]:
    """An empty folder on the project's disk, as a temporary folder may be in memory; removed at the end."""
    inside = project is not None and project.home.is_dir() and may_write(project.home / "any")
    with tempfile.TemporaryDirectory(prefix=".diff-", dir=project.home if project and inside else None) as folder:
        yield Path(folder)
