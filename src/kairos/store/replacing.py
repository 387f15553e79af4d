"""Putting what was made beside a place into it, in one step, with what is nobody else's to lose."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kairos.store.ignoring import Ignore

__all__ = ["carry", "replaced"]


def carry(ignore: Ignore, old: Path, new: Path) -> None:
    """Gives what is ignored in a folder a second place in the one that comes instead of it."""
    for entry in os.scandir(old):
        place, is_there = Path(entry.path), entry.is_dir(follow_symlinks=False)
        if ignore.hides(entry.name, is_folder=is_there):
            new.mkdir(parents=True, exist_ok=True)
            if is_there:
                shutil.copytree(place, new / entry.name, symlinks=True, copy_function=_link)
            elif not os.path.lexists(new / entry.name):
                _link(entry.path, str(new / entry.name))
        elif is_there and not (new / entry.name).is_file():
            carry(ignore.within(entry.name), place, new / entry.name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def replaced(desk: Path, target: Path) -> bool:
    """Puts what was made where it belongs; ``False`` if something else came there between two looks."""
    try:
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(desk / "old", ignore_errors=True)
            os.rename(target, desk / "old")
        elif (desk / "new").is_dir():
            target.unlink(missing_ok=True)
        os.replace(desk / "new", target)
    except FileNotFoundError:
        if not (desk / "new").exists():
            raise
        return False  # the old one is gone, too
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
            raise
        return False
    return True
