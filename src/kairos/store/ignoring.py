"""What ``.dvcignore`` names, as DVC reads it: files that are as if they were not there. Patterns are Git's."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from kairos.store.dvc_config import find_dvc
from kairos.store.walking import IGNORE_FILE

__all__ = ["Ignore", "ignore_of"]

_NEVER = frozenset({".git", ".hg", ".dvc"})
"""Folders that are nobody's data; ``.git`` is a file in a worktree of Git."""


@dataclass(frozen=True, slots=True)
class _Rule:
    above: str
    """Its file's folder, absolute, with a slash at the end."""
    pattern: re.Pattern[str]
    is_hidden: bool
    """Whether what matches is ignored; else it is not, whatever an earlier rule says."""
    is_for_folders: bool


@dataclass(frozen=True)
class Ignore:
    """What is ignored inside of one folder, if the folder itself is not."""

    folder: str
    """Absolute."""
    rules: tuple[_Rule, ...] = ()

    def hides(self, name: str, *, is_folder: bool) -> bool:
        """Whether something of that name in the folder is ignored."""
        if name in _NEVER and (is_folder or name == ".git"):
            return True
        path = f"{self.folder}/{name}"
        for rule in reversed(self.rules):
            if (is_folder or not rule.is_for_folders) and path.startswith(rule.above):
                inside = path[len(rule.above) :]
                if rule.pattern.match(inside) or (is_folder and rule.pattern.match(f"{inside}/")):
                    return rule.is_hidden
        return False

    def within(self, name: str) -> Ignore:
        """What is ignored inside of a folder of that name in it."""
        folder = f"{self.folder}/{name}"
        return Ignore(folder, self.rules + _rules(folder))

    @cached_property
    def is_plain(self) -> bool:
        """Whether nothing is ignored but what never is data."""
        return not self.rules


def ignore_of(path: Path) -> Ignore | None:
    """What is ignored inside of a folder, by all files from the repository's folder down to its own.

    Returns:
        ``None``: it is itself ignored.
    """
    path = Path(os.path.abspath(path))
    root = find_dvc(path if (path / ".dvc").is_dir() else path.parent).parent
    found = Ignore(str(root), _rules(str(root)))
    if not path.is_relative_to(root):
        return Ignore(str(path), _rules(str(path)))
    parts = path.relative_to(root).parts
    for at, part in enumerate(parts):
        if found.hides(part, is_folder=at + 1 < len(parts) or path.is_dir()):
            return None
        found = found.within(part)
    return found


def _rules(folder: str) -> tuple[_Rule, ...]:
    try:
        with open(f"{folder}/{IGNORE_FILE}", encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    rules = (_rule(f"{folder}/", line) for line in lines if line and not line.startswith("#"))
    return tuple(rule for rule in rules if rule is not None)


def _rule(above: str, line: str) -> _Rule | None:
    is_hidden = not line.startswith("!")
    text = line if is_hidden else line[1:]
    if not text.strip("/"):
        return None
    found = _regex(text)
    return None if found is None else _Rule(above, found, is_hidden, text.endswith("/"))


@lru_cache(maxsize=1024)
def _regex(text: str) -> re.Pattern[str] | None:
    """What a path inside of its file's folder begins with; ``None``: the pattern names nothing.

    It is that of the library ``pathspec``, which DVC uses, with its own ways with ``**``.
    """
    segments = text.split("/")
    if not segments[0]:
        del segments[0]
    elif len(segments) == 1 or (len(segments) == 2 and not segments[1]):
        segments.insert(0, "**")  # a single name may be anywhere
    if not segments[-1]:
        segments[-1] = "**"
    segments = [each for at, each in enumerate(segments) if each != "**" or at == 0 or segments[at - 1] != "**"]
    if segments in (["**"], ["**", "*"]) and not text.endswith("/"):
        return re.compile(".")
    if segments in (["**"], ["**", "*", "**"]):
        return None
    parts, needs_slash = list[str](), False
    for at, segment in enumerate(segments):
        is_last = at + 1 == len(segments)
        if segment == "**":
            parts.append("(?:.+/)?" if at == 0 else "/" if is_last else "(?:/.+)?")
            needs_slash = not is_last and at > 0
            continue
        parts.append(("/" if needs_slash else "") + _segment(segment) + ("(?:/|$)" if is_last else ""))
        needs_slash = True
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        return None


def _segment(text: str) -> str:
    """One name: ``*`` and ``?`` are any characters, ``[…]`` some."""
    if text == "*":
        return "[^/]+"
    found, at = "", 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            found += "[^/]*"
        elif char == "?":
            found += "[^/]"
        elif char == "\\" and at < len(text):
            found += re.escape(text[at])
            at += 1
        elif char == "[" and (end := text.find("]", at + 2 if text[at : at + 1] in ("!", "^") else at + 1)) > 0:
            inside = text[at:end]
            is_other = inside.startswith(("!", "^"))
            inside = inside.removeprefix("!").removeprefix("^") if is_other else inside
            found += f"[{'^' if is_other else ''}{inside.replace(chr(92), chr(92) * 2).replace('[', chr(92) + '[')}]"
            at = end + 1
        else:
            found += re.escape(char)
    return found
