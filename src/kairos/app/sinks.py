"""Where a batch's rows go, and in which form; what cannot be written there is refused before a row is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kairos.errors import UsageError
from kairos.pipeline.diff.files import Format

__all__ = ["form_of_output"]

_FORMS: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
}


def form_of_output(output: Path, inputs: Sequence[Path]) -> Format:
    """The form that an output's name ends in.

    Args:
        output: Where it goes; what is there is replaced.
        inputs: Files of the table that is read.

    Raises:
        UsageError: the form is not known, the folder is not there, or the output is a file of the table.
    """
    found = _FORMS.get(output.suffix.lower())
    if found is None:
        raise UsageError("The output's form is not known.", given=output.name, accepted=", ".join(_FORMS))
    if not output.parent.is_dir():
        raise UsageError("The folder of the output is not there.", given=str(output.parent), accepted="one that is")
    if output.exists() and any(output.samefile(path) for path in inputs):
        raise UsageError(
            "The output is the table that is read, which would be lost.", given=str(output), accepted="another file"
        )
    return found
