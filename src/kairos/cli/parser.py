"""Every command with its options. Loads nothing but ``argparse``: ``--help`` has to be quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kairos import __version__
from kairos.errors import UsageError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]

__all__ = ["make_parser"]

_TABLE = "a file, PATH[@REVISION] that is tracked, a digest, ARTIFACT[@RUN]"
_EXITS = "exit codes: 0 done, 1 error, 2 usage, 3 the gate failed, 4 the gate holds (not enough evidence)"


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print, so that a machine that asked for JSON gets JSON."""

    def error(self, message: str) -> NoReturn:
        """Refuses what was typed.

        Raises:
            UsageError: always; ``facts`` hold the ``usage`` of the command that was meant.
        """
        raise UsageError(f"{self.prog}: {message}", hint=f"Type: {self.prog} --help", usage=self.format_usage())


def make_parser(typed: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser; a parsed command names the function that executes it as ``MODULE:FUNCTION`` in ``execute``.

    Args:
        typed: What is going to be parsed. If it begins with a command, only that one's kind is made ready, which takes
            a third of the time.
    """
    parser = _Parser(
        prog="kairos",
        description="Continuous delivery of machine-learning models: decides when to change the one that is live.",
        epilog=_EXITS,
    )
    parser.add_argument("--version", action="version", version=f"kairos {__version__}")
    parser.add_argument("-C", dest="folder", metavar="FOLDER", type=Path, default=Path(), help="the project's folder")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    first = typed[0] if typed else ""
    meant = [add for add, names in _KINDS.items() if first in names]
    for add in meant or _KINDS:
        add(commands)
    return parser


def _command(
    commands: Commands, name: str, execute: str, summary: str, *, is_action: bool = False
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(execute=execute)
    default = argparse.SUPPRESS if is_action else False  # or ``ledger --json log`` would forget what came before
    parser.add_argument("--json", action="store_true", default=default, help="print JSON")
    return parser


def _count(text: str) -> int:
    """One or more; argparse names the option and what was given."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _starting(commands: Commands) -> None:
    init = _command(commands, "init", "starting:init", "make a project: of a repository of DVC, or from an example")
    init.add_argument("target", metavar="FOLDER", type=Path)
    init.add_argument("--example", metavar="NAME", help="default: bikes; in a repository of DVC none")
    demo = commands.add_parser(
        "demo", help="two years of real data in two minutes", description="Runs the whole loop on real data."
    )
    demo.set_defaults(execute="starting:demo")
    demo.add_argument("target", metavar="FOLDER", type=Path, nargs="?", default=Path("kairos-demo"))
    demo.add_argument("--json", metavar="FILE", type=Path, help="write the figures to this file")
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--until", metavar="DATE", help="stop the traffic before the end of 2012")


def _running(commands: Commands) -> None:
    run = _command(commands, "run", "running:run", "run the pipeline and register the models that come out new")
    run.add_argument("--window", metavar="START..END", help="the data to look at; a bare end date is included")
    run.add_argument("-p", dest="params", metavar="STEP.PARAM=VALUE", action="append", default=[])
    run.add_argument("--force", metavar="STEP", action="append", default=[], help="run it even if nothing changed")
    run.add_argument("--from", dest="since", metavar="STEP", action="append", default=[], help="and all after it, anew")
    run.add_argument("--until", metavar="STEP", action="append", help="only it and what it needs")
    run.add_argument("--why", action="store_true", help="say why each step runs or is reused")
    run.add_argument("--plan", action="store_true", help="only say what would run and why")
    runs = _command(commands, "runs", "running:runs", "list the runs")
    runs.add_argument("-n", dest="count", type=_count, default=20, help="the last N")
    show = _command(commands, "show", "showing:show", "all about one run: steps, times, params, inputs, code, failure")
    show.add_argument("run", metavar="RUN|MODEL@N")
    rebuild = _command(commands, "rebuild", "rebuilding:rebuild", "make a run again and say whether the same comes out")
    rebuild.add_argument("run", metavar="RUN|MODEL@N")
    rebuild.add_argument("--tolerance", type=float, default=1e-9, metavar="X", help="relative; by default 1e-9")
    rebuild.add_argument("--env", action="store_true", help="in an environment made from the run's lock")
    diff = _command(commands, "diff", "running:diff", "what differs between two runs or versions")
    diff.add_argument("first", metavar="RUN|MODEL@N")
    diff.add_argument("second", metavar="RUN|MODEL@N")


def _delivering(commands: Commands) -> None:
    models = _command(commands, "models", "delivering:models", "list versions; sign, verify or describe one")
    models.add_argument("model", metavar="MODEL[@N]", nargs="?", help="only this one; of a version, what it takes")
    models.add_argument("version", metavar="MODEL@N", nargs="?", help="after `sign`, `verify` or `card`")
    models.add_argument("--key", metavar="FILE", type=Path, help="private key to sign with, or public one to verify by")
    models.add_argument("-o", dest="output", metavar="FILE", type=Path, help="where a signature or card goes")
    gate = _command(commands, "gate", "delivering:gate", "judge a version against the live one on fresh data")
    which = gate.add_mutually_exclusive_group(required=True)
    which.add_argument("version", metavar="MODEL[@N]", nargs="?")
    which.add_argument("--replay", metavar="SEQ", type=_count, help="make the decision of that ledger entry again")
    how = gate.add_mutually_exclusive_group()
    how.add_argument("--explain", action="store_true", help="in full: data, estimators, intervals, assumptions")
    how.add_argument("--md", action="store_true", help="the same as Markdown that stands alone")
    gate.add_argument("--html", metavar="FILE", type=Path, help="write a page with pictures as well")
    deploy = _command(commands, "deploy", "delivering:deploy", "begin to make a version live")
    deploy.add_argument("version", metavar="MODEL@N")
    deploy.add_argument("--to", metavar="STAGE", help="shadow, canary:N%% or live; default: the rollout's first stage")
    deploy.add_argument("--override", metavar="REASON", help="against the gate, a freeze, or past stages")
    deploy.add_argument("--rehearse", action="store_true", help="only try the way there and back, beside the traffic")
    rollback = _command(commands, "rollback", "delivering:rollback", "end a trial, or go back to the former version")
    rollback.add_argument("model")
    rollback.add_argument("--reason", default="asked for by hand")
    approve = _command(commands, "approve", "governing:approve", "say that a version may, or must not, go forward")
    approve.add_argument("version", metavar="MODEL@N")
    approve.add_argument("--reason", required=True)
    approve.add_argument("--refuse", action="store_true", help="it must not")
    freeze = _command(commands, "freeze", "governing:freeze", "let nothing of a model go forward; rollbacks may")
    freeze.add_argument("model")
    freeze.add_argument("--reason", required=True)
    freeze.add_argument("--until", metavar="TIME", help="a date or time; default: until `kairos unfreeze`")
    unfreeze = _command(commands, "unfreeze", "governing:unfreeze", "end the freezes that people have begun")
    unfreeze.add_argument("model")
    unfreeze.add_argument("--reason", required=True)
    _command(commands, "status", "looking_on:status", "what is live and on trial, what it waits for, until when")
    live = _command(commands, "live", "delivering:live", "what is or was live, and who changed it")
    live.add_argument("--at", metavar="TIME", help="a date or time of the past")


def _serving(commands: Commands) -> None:
    for name, summary in (
        ("serve", "answer requests with what is live"),
        ("up", "serve, watch and retrain: the whole loop"),
    ):
        serve = _command(commands, name, f"serving:{name}", summary)
        serve.add_argument("--host")
        serve.add_argument("--port", type=int, help="0: any free port")
        serve.add_argument("--grpc-port", type=int, help="speak gRPC there as well; 0: any free port")
        serve.add_argument("--tls-cert", type=Path, metavar="FILE", help="speak TLS with this certificate (PEM)")
        serve.add_argument("--tls-key", type=Path, metavar="FILE", help="its key; by default in the same file")
        default = "one" if name == "up" else "one a core, 4 at most"
        serve.add_argument("--workers", type=int, metavar="N", help=f"processes that answer; by default {default}")
        serve.add_argument(
            "--capture", choices=("fast", "durable"), help="what an answer waits for: one write, or the disk"
        )
        if name == "serve":
            serve.add_argument("--replay", metavar="TIME", help="stand still at this time; requests move the clock")
            serve.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    predict = _command(commands, "predict", "scoring:predict", "predict every row of a table, in little memory")
    predict.add_argument("version", metavar="MODEL[@N]", help="a version; without a number the live one")
    predict.add_argument("table", metavar="TABLE", help=_TABLE)
    predict.add_argument("-o", dest="output", metavar="FILE", type=Path, required=True, help="Parquet, CSV, …")
    predict.add_argument("--columns", metavar="A,B", help="of the table, that are copied; default: all")
    predict.add_argument("--skip-refused", action="store_true", help="rows that do not fit get no prediction")
    predict.add_argument("--no-capture", action="store_true", help="keep nothing: no answer can be explained")
    _command(commands, "watch", "serving:watch", "look once at what is live; write findings down")
    labels = _command(commands, "labels", "serving:labels", "take in late truths, or say how they arrive")
    labels.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="CSV with prediction_id and value, or entity, time and value"
    )
    labels.add_argument("--model", help="which model labels by entity and time are about")
    explain = _command(commands, "explain", "serving:explain", "where an answer came from")
    explain.add_argument("prediction", metavar="PREDICTION_ID")
    explain.add_argument("--why", action="store_true", help="what each input contributed, against training")
    why = _command(commands, "why", "why:why", "what changed first when a model got worse")
    why.add_argument("model")
    when = why.add_mutually_exclusive_group()
    when.add_argument("--at", metavar="TIME", help="look from this date or time; default: now")
    when.add_argument("--finding", metavar="SEQ", type=_count, help="a finding's ledger entry; default: the last alarm")


def _data(commands: Commands) -> None:
    data = _command(commands, "data", "tracking:status", "data beside the code: its versions, as DVC keeps them")
    actions = data.add_subparsers(metavar="ACTION", required=True)
    add = _command(actions, "add", "tracking:add", "store files and folders, and write their pointers", is_action=True)
    add.add_argument("paths", metavar="PATH", type=Path, nargs="+")
    status = _command(actions, "status", "tracking:status", "what is other than its pointer says", is_action=True)
    status.add_argument("paths", metavar="PATH", type=Path, nargs="*", help="default: all that is tracked")
    status.add_argument(
        "--remote", metavar="NAME", nargs="?", const="", help="what a remote lacks, or has that is not here"
    )
    checkout = _command(actions, "checkout", "tracking:checkout", "put tracked data in its place", is_action=True)
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
        move = _command(actions, name, f"remoting:{name}", summary, is_action=True)
        move.add_argument("paths", metavar="PATH", type=Path, nargs="*", help="default: all that is tracked")
        move.add_argument("--remote", metavar="NAME", help="default: what the pointer says, then core.remote")
        move.add_argument(
            "--jobs", metavar="N", type=_count, default=16, help="blobs on their way at once; default: 16"
        )
        move.add_argument("--all", action="store_true", help="what the facts of the ledger need, too")
        if name == "pull":
            move.add_argument("--force", action="store_true", help="lose changes that are stored nowhere")
    gc = _command(actions, "gc", "collecting:gc", "remove blobs that nobody needs; says which and why", is_action=True)
    gc.add_argument("--dry-run", action="store_true", help="remove nothing")
    gc.add_argument("-a", "--all-branches", action="store_true", help="keep what pointers name on any branch of Git")
    gc.add_argument("-T", "--all-tags", action="store_true", help="the same of tags")
    gc.add_argument("-A", "--all-commits", action="store_true", help="the same of all commits")
    gc.add_argument("--grace", metavar="TIME", help="keep what is younger, such as 12h; default: 1d")
    remote = _command(actions, "remote", "remoting:listed", "the remotes of DVC's configuration", is_action=True)
    what = remote.add_subparsers(metavar="ACTION", required=True)
    _command(what, "list", "remoting:listed", "print them, with the default one", is_action=True)
    add = _command(what, "add", "remoting:add", "add one, as `dvc remote add` does", is_action=True)
    add.add_argument("name", metavar="NAME")
    add.add_argument("url", metavar="URL", help="s3://bucket/folder, ssh://host/folder, …, or a folder's path")
    add.add_argument("--default", action="store_true", help="use it where none is named")


def _tables(actions: Commands) -> None:
    """What looks into tables; ``TABLE`` is whatever names one."""
    diff = _command(actions, "diff", "tables:diff", "what differs between two versions of a table", is_action=True)
    diff.add_argument("first", metavar="BEFORE", help=_TABLE)
    diff.add_argument("second", metavar="AFTER")
    diff.add_argument("--key", metavar="COLUMNS", action="append", default=[], help="what names a row, as in dteday,hr")
    diff.add_argument("--rows", metavar="N", type=_count, default=0, help="show N rows of each kind as well")
    show = _command(actions, "show", "tables:show", "the first rows of a table", is_action=True)
    show.add_argument("table", metavar="TABLE", help=_TABLE)
    show.add_argument("-n", dest="count", metavar="N", type=_count, default=10)
    contract = _command(actions, "contract", "tables:infer", "what is promised of a table, as code", is_action=True)
    kinds = contract.add_subparsers(metavar="ACTION", required=True)
    infer = _command(kinds, "infer", "tables:infer", "draft a contract from a table; review it", is_action=True)
    infer.add_argument("table", metavar="TABLE", help=_TABLE)
    infer.add_argument("-o", dest="output", metavar="FILE", type=Path, help="default: print it")
    leaks = _command(
        actions, "leaks", "leaks:leaks", "what a training table tells of the holdout and the target", is_action=True
    )
    leaks.add_argument("model", metavar="MODEL", nargs="?", help="default: the only one")
    leaks.add_argument("--run", metavar="RUN", help="default: the last run that made both tables")


def _looking_back(commands: Commands) -> None:
    ledger = _command(commands, "ledger", "looking_back:log", "the log of all facts")
    actions = ledger.add_subparsers(metavar="ACTION", required=True)
    log = _command(actions, "log", "looking_back:log", "print the facts", is_action=True)
    log.add_argument("-n", dest="count", type=_count, default=20, help="the last N")
    log.add_argument("--kind", help="only this kind, such as stage.changed")
    log.add_argument("--about", metavar="SUBJECT", help="only about this, such as demand@3")
    _command(
        actions, "verify", "looking_back:verify", "recompute every hash; name the first broken entry", is_action=True
    )
    decide = _command(commands, "decide", "deciding:decide", "make past decisions again, from the ledger alone")
    decide.add_argument("--replay", metavar="ENTRY|all", required=True, help="the ledger entry of the decision")
    store = _command(commands, "store", "keeping:verify", "the bytes behind the facts")
    kept = store.add_subparsers(metavar="ACTION", required=True)
    verify = _command(
        kept, "verify", "keeping:verify", "read every blob again; name those that are damaged", is_action=True
    )
    verify.add_argument("--fetch", action="store_true", help="fetch those that are damaged or missing from a remote")
    verify.add_argument("--remote", metavar="NAME", help="from which; default: core.remote")
    report = _command(commands, "report", "looking_back:report", "one self-contained HTML page with pictures")
    report.add_argument(
        "-o", dest="output", metavar="FILE", type=Path, help="where to; default: report.html in the project's folder"
    )
    replay = _command(commands, "replay", "looking_back:replay", "send the past as traffic, under another clock")
    replay.add_argument("--window", metavar="START..END", help="what is sent; default: all that follows the first run")
    replay.add_argument("--report", metavar="FILE", type=Path, help="write a report of it, one HTML page with pictures")
    replay.add_argument("--into", metavar="FOLDER", type=Path, help="where its facts go; default: in .kairos/replays")
    policy = _command(commands, "policy", "comparing:compare", "what other settings would have lost")
    what = policy.add_subparsers(metavar="ACTION", required=True)
    compare = _command(what, "compare", "comparing:compare", "which of two would have lost less", is_action=True)
    compare.add_argument("first", metavar="A.toml", type=Path, help="tables such as [model.NAME.retrain]")
    compare.add_argument("second", metavar="B.toml", type=Path)


_KINDS: dict[Callable[[Commands], None], tuple[str, ...]] = {
    _starting: ("init", "demo"),
    _running: ("run", "runs", "show", "rebuild", "diff"),
    _delivering: ("models", "gate", "deploy", "rollback", "approve", "freeze", "unfreeze", "status", "live"),
    _serving: ("serve", "up", "predict", "watch", "labels", "explain", "why"),
    _data: ("data",),
    _looking_back: ("ledger", "decide", "store", "report", "replay", "policy"),
}
"""What adds which commands, in the order of the help."""
