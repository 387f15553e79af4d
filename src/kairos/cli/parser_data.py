"""The commands below ``data``, with their options. Loads nothing but ``argparse``."""

from __future__ import annotations

from pathlib import Path

from kairos.cli.parser_making import TABLE, Commands, command, count

__all__ = ["add_data"]


def add_data(commands: Commands) -> None:
    """Adds ``data`` with all that comes after it."""
    data = command(commands, "data", "tracking:status", "data beside the code: its versions, as DVC keeps them")
    actions = data.add_subparsers(metavar="ACTION", required=True)
    add = command(actions, "add", "tracking:add", "store files and folders, and write their pointers", is_action=True)
    add.add_argument("paths", metavar="PATH", type=Path, nargs="+")
    status = command(actions, "status", "tracking:status", "what is other than its pointer says", is_action=True)
    status.add_argument("paths", metavar="PATH", type=Path, nargs="*", help="default: all that is tracked")
    status.add_argument(
        "--remote", metavar="NAME", nargs="?", const="", help="what a remote lacks, or has that is not here"
    )
    checkout = command(actions, "checkout", "tracking:checkout", "put tracked data in its place", is_action=True)
    checkout.add_argument("paths", metavar="PATH", type=Path, nargs="*", help="default: all that is tracked")
    checkout.add_argument("--link", choices=("copy", "hardlink", "reflink"), default="copy", help="how files get there")
    checkout.add_argument("--force", action="store_true", help="lose changes that are stored nowhere")
    _remotes(actions)
    _tables(actions)


def _remotes(actions: Commands) -> None:
    for name, summary in (
        ("push", "send tracked data to a remote; what is there is not sent"),
        ("pull", "fetch tracked data from a remote, check it, and put it in its place"),
    ):
        move = command(actions, name, f"remoting:{name}", summary, is_action=True)
        move.add_argument("paths", metavar="PATH", type=Path, nargs="*", help="default: all that is tracked")
        move.add_argument("--remote", metavar="NAME", help="default: what the pointer says, then core.remote")
        move.add_argument("--jobs", metavar="N", type=count, default=16, help="blobs on their way at once; default: 16")
        move.add_argument("--all", action="store_true", help="what the facts of the ledger need, too")
        if name == "pull":
            move.add_argument("--force", action="store_true", help="lose changes that are stored nowhere")
    gc = command(actions, "gc", "collecting:gc", "remove blobs that nobody needs; says which and why", is_action=True)
    gc.add_argument("--dry-run", action="store_true", help="remove nothing")
    gc.add_argument("-a", "--all-branches", action="store_true", help="keep what pointers name on any branch of Git")
    gc.add_argument("-T", "--all-tags", action="store_true", help="the same of tags")
    gc.add_argument("-A", "--all-commits", action="store_true", help="the same of all commits")
    gc.add_argument("--grace", metavar="TIME", help="keep what is younger, such as 12h; default: 1d")
    remote = command(actions, "remote", "remoting:listed", "the remotes of DVC's configuration", is_action=True)
    what = remote.add_subparsers(metavar="ACTION", required=True)
    command(what, "list", "remoting:listed", "print them, with the default one", is_action=True)
    add = command(what, "add", "remoting:add", "add one, as `dvc remote add` does", is_action=True)
    add.add_argument("name", metavar="NAME")
    add.add_argument("url", metavar="URL", help="s3://bucket/folder, ssh://host/folder, …, or a folder's path")
    add.add_argument("--default", action="store_true", help="use it where none is named")


def _tables(actions: Commands) -> None:
    """What looks into tables; ``TABLE`` is whatever names one."""
    diff = command(actions, "diff", "tables:diff", "what differs between two versions of a table", is_action=True)
    diff.add_argument("first", metavar="BEFORE", help=TABLE)
    diff.add_argument("second", metavar="AFTER")
    diff.add_argument("--key", metavar="COLUMNS", action="append", default=[], help="what names a row, as in dteday,hr")
    diff.add_argument("--rows", metavar="N", type=count, default=0, help="show N rows of each kind as well")
    show = command(actions, "show", "tables:show", "the first rows of a table", is_action=True)
    show.add_argument("table", metavar="TABLE", help=TABLE)
    show.add_argument("-n", dest="count", metavar="N", type=count, default=10)
    contract = command(actions, "contract", "tables:infer", "what is promised of a table, as code", is_action=True)
    kinds = contract.add_subparsers(metavar="ACTION", required=True)
    infer = command(kinds, "infer", "tables:infer", "draft a contract from a table; review it", is_action=True)
    infer.add_argument("table", metavar="TABLE", help=TABLE)
    infer.add_argument("-o", dest="output", metavar="FILE", type=Path, help="default: print it")
    leaks = command(
        actions, "leaks", "leaks:leaks", "what a training table tells of the holdout and the target", is_action=True
    )
    leaks.add_argument("model", metavar="MODEL", nargs="?", help="default: the only one")
    leaks.add_argument("--run", metavar="RUN", help="default: the last run that made both tables")
