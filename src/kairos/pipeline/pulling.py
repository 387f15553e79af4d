"""What is asked about a source before and after it is read: has it any data, and are they those that it began with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kairos.errors import DataRefused
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.declare import StepSpec
from kairos.pipeline.files import file_digests
from kairos.pipeline.job import Job
from kairos.pipeline.ports import Mark
from kairos.values import Window

__all__ = ["ask_marks", "refuse_changed_files", "refuse_nothing"]


def ask_marks(root: Path, spec: StepSpec, windows: Sequence[Window]) -> list[Mark | None]:
    """Watermarks of a source's windows; its origin may take its time.

    Args:
        root: The project's folder.
        spec: A source that reads an origin.
        windows: In their order.

    Raises:
        KairosError: the origin cannot be asked.
    """
    assert spec.reads is not None  # asked only of such sources
    return spec.reads.marks(root, windows)


def refuse_changed_files(root: Path, job: Job) -> None:
    """Lets pass a source whose declared files are as they were when it began.

    Raises:
        DataRefused: they are not.
    """
    if file_digests(root, job.setting.node.spec) != job.files:
        raise DataRefused(f"Files of source {job.name!r} changed while it read them.", hint="Run it again.")


def refuse_nothing(job: Job, outputs: Sequence[Artifact], window: Window) -> None:
    """Lets pass a source whose origin had something in the window.

    Raises:
        DataRefused: it had no table at all, not even one without rows.
    """
    if job.marks and any(each.kind == "table/polars" and not each.meta["columns"] for each in outputs):
        raise DataRefused(
            f"The origin of source {job.name!r} has no data at all.",
            given=str(window),
            hint="Is its place right, and the window?",
        )
