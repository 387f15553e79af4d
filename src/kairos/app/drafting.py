"""A contract drafted from a table, wherever it is."""

from __future__ import annotations

from kairos.app.diffing import scratch
from kairos.app.project import Project
from kairos.app.tables import find_table
from kairos.models.levels import fewest_rows
from kairos.pipeline.contract_draft import class_name, draft_contract

__all__ = ["infer_contract"]


def infer_contract(project: Project | None, what: str) -> str:
    """Code of Pandera that declares what a table is like, for a person to review.

    Args:
        project: Whose; ``None``: there are only files.
        what: The table, as ``find_table`` takes it.

    Raises:
        KairosError: as ``find_table`` and ``draft_contract`` do.
    """
    with scratch(project) as workdir:
        return draft_contract(find_table(project, what, workdir=workdir), name=class_name(what), fewest=fewest_rows)
