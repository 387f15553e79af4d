"""What the experiment record refused for what it is: kept with the reason, named to a person once, and not told again.

Loads next to nothing, as every run asks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from kairos.app.project import Project

__all__ = ["REFUSED", "note_refused", "notes_of_refused"]

REFUSED = "refused.jsonl"
"""In the project's ``.kairos``: what was refused, a JSON object a line."""
_NAMED = "refused.named"
"""How many bytes of it were named to somebody."""
_AT_ONCE = 3


def note_refused(project: Project, why: Sequence[str]) -> None:
    """Writes down what was refused, unless it was before."""
    path = project.home / REFUSED
    known = {json.loads(line)["why"] for line in _lines(path)}
    fresh = [text for text in dict.fromkeys(why) if text not in known]
    if fresh:
        at = project.clock.now().isoformat()
        text = "".join(json.dumps({"at": at, "why": each}) + "\n" for each in fresh)
        with open(path, "ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def notes_of_refused(project: Project) -> list[str]:
    """What to say to a person of what was refused and not named yet; it counts as named from now on."""
    path, named = project.home / REFUSED, project.home / _NAMED
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return []
    try:
        done = int(named.read_bytes())
    except (OSError, ValueError):
        done = 0
    if done >= size:
        return []
    fresh = [json.loads(line)["why"] for line in _lines(path, after=done)]
    named.write_bytes(b"%d" % size)
    notes = [f"the experiment record goes on without this: {why}" for why in fresh[:_AT_ONCE]]
    if len(fresh) > _AT_ONCE:
        notes.append(f"and without {len(fresh) - _AT_ONCE} more, which {path} names")
    if notes:
        notes.append(
            "nothing of it is lost here. Once what refused it is mended, this has the record told everything again: "
            f"rm {project.home / 'recorded.json'}"
        )
    return notes


def _lines(path: Path, *, after: int = 0) -> list[bytes]:
    """Whole lines."""
    try:
        lines = path.read_bytes()[after:].splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [line for line in lines if line.endswith(b"\n")]
