"""Whole projects to start from: ``kairos init`` and ``kairos demo`` copy them, and the tests run them.

An example is a folder beside this file that a user could have written herself: ``kairos.toml``, Python modules and
data. Nothing here imports an example; its own imports are loaded only when it runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from kairos.errors import NotFound, UsageError, did_you_mean

__all__ = ["EXAMPLES", "copy_example"]

EXAMPLES: dict[str, str] = {
    "bikes": "Bicycles rented per hour: real data of 2011 and 2012, with real gaps and a real change of the world.",
}
"""Every example by name, with one line on what it is about."""

_NOT_COPIED = ("__init__.py", "__pycache__")


def copy_example(name: str, target: Path) -> Path:
    """Copies an example into a folder, which then is a project of its own.

    The folder and its parents are made if they are not there. Files of other names that are already there stay; if a
    name is taken, nothing is copied, so that no work is ever overwritten.

    Args:
        name: One of ``EXAMPLES``.
        target: The project's folder.

    Returns:
        The project's folder, absolute.

    Raises:
        NotFound: there is no example of that name.
        UsageError: the folder already holds a file that the example brings, or is not a folder.
    """
    if name not in EXAMPLES:
        accepted = ", ".join(sorted(EXAMPLES))
        raise NotFound("There is no such example.", given=name, accepted=accepted, hint=did_you_mean(name, EXAMPLES))
    source = Path(__file__).parent / name
    folder = target.absolute()
    relatives = sorted(_files(source))
    taken = [relative for relative in relatives if (folder / relative).exists()]
    if taken or (folder.exists() and not folder.is_dir()):
        raise UsageError(
            f"The example {name!r} cannot be copied there: {taken[0] if taken else folder.name} exists already.",
            given=str(target),
            accepted="a new folder, or one without these files: " + ", ".join(str(relative) for relative in relatives),
        )
    for relative in relatives:
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / relative, folder / relative)
    return folder


def _files(source: Path) -> Iterator[Path]:
    """The example's files, relative to its folder."""
    for path in source.rglob("*"):
        relative = path.relative_to(source)
        if path.is_file() and not any(part in _NOT_COPIED for part in relative.parts):
            yield relative
