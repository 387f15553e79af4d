"""``data push``, ``data pull``, ``data status --remote``, ``data remote``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json, table
from kairos.cli.tracking import NOTHING_TRACKED
from kairos.values import plain, size_text, without_secrets

if TYPE_CHECKING:
    from kairos.app.remotes import Fetched, Sent

__all__ = ["add", "listed", "pull", "push", "status"]


def push(args: Namespace) -> int:
    """Sends tracked data; 1 if any of it could not be sent."""
    from kairos.app.remotes import send

    with open_project(args) as project:
        found = send(
            project, args.paths, remote=args.remote, with_facts=args.all, jobs=args.jobs, told=_line("sent", args)
        )
    lacking, damaged = "is not in the store, and was not sent", "is damaged in the store, and was not sent"
    return _told(args, found, "{} sent, {}; {} were there", lacking, damaged)


def pull(args: Namespace) -> int:
    """Fetches tracked data and puts it in its place; 1 if any of it could not be fetched."""
    from kairos.app.remotes import fetch

    with open_project(args) as project:
        found = fetch(
            project,
            args.paths,
            remote=args.remote,
            with_facts=args.all,
            jobs=args.jobs,
            force=args.force,
            told=_line("fetched", args),
        )
    lacking, damaged = "is not at the remote", "is damaged at the remote, and was not used"
    return _told(args, found, "{} fetched, {}; {} were here", lacking, damaged)


def _told(args: Namespace, found: Sequence[Sent] | Sequence[Fetched], line: str, lacking: str, damaged: str) -> int:
    """Says what went to each remote, or came from it; 1 if any of it did not."""
    is_whole = all(one.is_whole for one in found)
    if args.json:
        show_json({"is_whole": is_whole, "remotes": [plain(one) for one in found]})
        return 0 if is_whole else 1
    for one in found:
        moved = one.moved
        say(f"{one.remote}  {line.format(_count(moved.blobs), size_text(moved.size_bytes), f'{moved.there:,}')}")
        say(*(f"  {digest} {lacking}" for digest in moved.missing))
        say(*(f"  {digest} {damaged}" for digest in moved.damaged))
        for pointer in getattr(one, "elsewhere", ()):
            say(f"  {pointer} is an import of that repository. Type: dvc pull {pointer}")
        for each in getattr(one, "placed", ()):
            say(f"  {each.path}  {'was in place' if each.state == 'unchanged' else 'put in place'}")
    if not found:
        say(NOTHING_TRACKED)
    return 0 if is_whole else 1


def status(args: Namespace) -> int:
    """Says how tracked data stands at its remote; 1 if either side lacks any of it."""
    from kairos.app.remotes import away

    with open_project(args) as project:
        found = away(project, args.paths, remote=args.remote or None)
    is_same = all(one.is_same for one in found)
    if args.json:
        show_json({"is_same": is_same, "data": [plain(one) for one in found]})
        return 0 if is_same else 1
    for one in found:
        counts = {"only here": one.new, "only there": one.deleted, "in neither place": one.missing}
        told = ", ".join(f"{_count(count)} {where}" for where, count in counts.items() if count)
        say(f"{one.path}  {one.remote}: {told or 'the same'}")
    if not found:
        say(NOTHING_TRACKED)
    return 0 if is_same else 1


def listed(args: Namespace) -> int:
    """Prints the remotes."""
    from kairos.app.remotes import remotes

    with open_project(args) as project:
        found = remotes(project)
    default = found.default
    if args.json:
        show_json(
            {
                "default": default,
                "remotes": [
                    {"name": one.name, "url": _shown(one.url), "withheld": list(one.withheld)}
                    for one in found.by_name.values()
                ],
            }
        )
        return 0
    rows = [(one.name, _shown(one.url), "default" if one.name == default else "") for one in found.by_name.values()]
    if rows:
        table(("name", "url", ""), rows)
    else:
        say("The project has no remote. Type: kairos data remote add NAME URL")
    return 0


def add(args: Namespace) -> int:
    """Adds a remote to DVC's configuration."""
    from kairos.app.remotes import add as put

    with open_project(args) as project:
        found = put(project, args.name, args.url, is_default=args.default)
    if args.json:
        show_json({"name": found.name, "url": _shown(found.url), "is_default": args.default})
    else:
        say(f"{found.name}  {_shown(found.url)}")
    return 0


def _shown(url: str) -> str:
    return without_secrets(url) if "://" in url else url


def _count(blobs: int) -> str:
    return f"{blobs:,} {'blob' if blobs == 1 else 'blobs'}"


def _line(done: str, args: Namespace) -> Callable[[int, int, int], None]:
    """A line on the terminal that is written over; elsewhere nothing."""
    if args.json or not sys.stderr.isatty():
        return lambda blobs, of, size_bytes: None

    def tell(blobs: int, of: int, size_bytes: int) -> None:
        end = "\r" if blobs < of else "\r\033[K"
        print(f"\033[K{blobs:,} of {of:,} {done}, {size_bytes / 1e6:,.1f} MB", end=end, file=sys.stderr, flush=True)

    return tell
