"""``data add``, ``data status``, ``data checkout``."""

from __future__ import annotations

from argparse import Namespace

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.values import plain, size_text

__all__ = ["NOTHING_TRACKED", "add", "checkout", "status"]

NOTHING_TRACKED = "Nothing is tracked. Type: kairos data add PATH"


def add(args: Namespace) -> int:
    """Stores files and folders, and writes their pointers."""
    from kairos.app.data import add as put

    with open_project(args) as project:
        found = put(project, args.paths)
    if args.json:
        show_json([plain(one) for one in found])
        return 0
    for one in found:
        files = f"{one.files:,} {'file' if one.files == 1 else 'files'}"
        say(f"{one.path}  {one.digest}  {files}, {size_text(one.size_bytes)}")
    return 0


def status(args: Namespace) -> int:
    """Says how tracked data stands; 1 if any of it is other than its pointer says, or is not here."""
    if args.remote is not None:
        from kairos.cli.remoting import status as at_remote

        return at_remote(args)
    from kairos.app.data import standing

    with open_project(args) as project:
        found = standing(project, args.paths)
    is_clean = all(one.state == "unchanged" for one in found)
    if args.json:
        show_json({"is_clean": is_clean, "data": [plain(one) for one in found]})
        return 0 if is_clean else 1
    for one in found:
        say(f"{one.path}  {one.state}{_counts(one.added, one.removed, one.changed)}")
        if one.state == "not stored" and one.comes_from is not None:
            say(f"  imported from {one.comes_from}. Type: dvc pull {one.path}.dvc")
        if len(one.names) > 1 or one.names not in ((), ("~",)):
            say(*(f"  {name}" for name in one.names))
        left = one.added + one.removed + one.changed - len(one.names)
        if left > 0:
            say(f"  and {left:,} more")
    if any(one.state == "not stored" and one.comes_from is None for one in found):
        say("What is not stored comes from a remote, where one has it. Type: kairos data pull")
    if not found:
        say(NOTHING_TRACKED)
    return 0 if is_clean else 1


def checkout(args: Namespace) -> int:
    """Puts tracked data where it belongs."""
    from kairos.app.data import checkout as put

    with open_project(args) as project:
        found = put(project, args.paths, link=args.link, force=args.force)
    if args.json:
        show_json([plain(one) for one in found])
        return 0
    for one in found:
        say(f"{one.path}  {'was in place' if one.state == 'unchanged' else 'put in place'}")
    return 0


def _counts(added: int, removed: int, changed: int) -> str:
    told = {"added": added, "removed": removed, "changed": changed}
    text = ", ".join(f"{count:,} {word}" for word, count in told.items() if count)
    return f": {text}" if text else ""
