"""Every command with its options. Loads nothing but ``argparse``: ``--help`` has to be quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from kairos import __version__
from kairos.cli.parser_data import add_data
from kairos.cli.parser_making import TABLE, Commands, command, count, gap
from kairos.cli.parser_tune import add_tune
from kairos.errors import UsageError

__all__ = ["make_parser"]

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


def _starting(commands: Commands) -> None:
    init = command(commands, "init", "starting:init", "make a project: of a repository of DVC, or from an example")
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
    run = command(commands, "run", "running:run", "run the pipeline and register the models that come out new")
    run.add_argument("--window", metavar="START..END", help="the data to look at; a bare end date is included")
    run.add_argument("-p", dest="params", metavar="STEP.PARAM=VALUE", action="append", default=[])
    run.add_argument("--force", metavar="STEP", action="append", default=[], help="run it even if nothing changed")
    run.add_argument("--from", dest="since", metavar="STEP", action="append", default=[], help="and all after it, anew")
    run.add_argument("--until", metavar="STEP", action="append", help="only it and what it needs")
    run.add_argument("--seeds", metavar="N", type=count, default=1, help="make the models with N seeds, to tell chance")
    run.add_argument("--why", action="store_true", help="say why each step runs")
    run.add_argument("--plan", action="store_true", help="only say what would run and why")
    add_tune(commands)
    runs = command(commands, "runs", "listing:runs", "list the runs: the latest, the best, or those that are so")
    runs.add_argument("--trials", action="store_true", help="also those of searches, which are one line each else")
    runs.add_argument("-n", dest="count", type=count, default=20, help="so many at most; default: 20")
    runs.add_argument("--where", metavar="CONDITION", help="as in 'demand.absolute_error < 40 and status = finished'")
    runs.add_argument("--sort", metavar="NAME", help="by a metric, a param, a tag or a field, the smallest first")
    runs.add_argument("--desc", action="store_true", help="the largest first")
    runs.add_argument("--columns", metavar="NAMES", action="append", default=[], help="what to tell, as in run,by")
    show = command(commands, "show", "showing:show", "all about one run: steps, times, params, inputs, code, failure")
    show.add_argument("run", metavar="RUN|MODEL@N")
    rebuild = command(commands, "rebuild", "rebuilding:rebuild", "make a run again and say whether the same comes out")
    rebuild.add_argument("run", metavar="RUN|MODEL@N")
    rebuild.add_argument("--tolerance", type=gap, default=1e-9, metavar="X", help="relative; by default 1e-9")
    rebuild.add_argument("--env", action="store_true", help="in an environment made from the run's lock")
    diff = command(commands, "diff", "differing:diff", "what differs between two, and by more than chance or not")
    diff.add_argument("first", metavar="RUN|MODEL@N")
    diff.add_argument("second", metavar="RUN|MODEL@N")
    diff.add_argument("--on", choices=("first", "second"), default="second", help="whose holdout; default: second")


def _importing(commands: Commands) -> None:
    imports = command(commands, "import", "importing:sacred", "take over runs that another library kept")
    kinds = imports.add_subparsers(metavar="LIBRARY", required=True)
    sacred = command(kinds, "sacred", "importing:sacred", "what an observer of Sacred left", is_action=True)
    places = "the folder of a FileStorageObserver or of one run, or what mongoexport wrote of each collection"
    sacred.add_argument("places", metavar="FOLDER|FILE.json", type=Path, nargs="+", help=places)


def _delivering(commands: Commands) -> None:
    models = command(commands, "models", "delivering:models", "list versions; sign, verify or describe one")
    models.add_argument("model", metavar="MODEL[@N]", nargs="?", help="only this one; of a version, what it takes")
    models.add_argument("version", metavar="MODEL@N", nargs="?", help="after `sign`, `verify` or `card`")
    models.add_argument("--key", metavar="FILE", type=Path, help="private key to sign with, or public one to verify by")
    models.add_argument("-o", dest="output", metavar="FILE", type=Path, help="where a signature or card goes")
    gate = command(commands, "gate", "delivering:gate", "judge a version against the live one on fresh data")
    which = gate.add_mutually_exclusive_group(required=True)
    which.add_argument("version", metavar="MODEL[@N]", nargs="?")
    which.add_argument("--replay", metavar="SEQ", type=count, help="make the decision of that ledger entry again")
    how = gate.add_mutually_exclusive_group()
    how.add_argument("--explain", action="store_true", help="in full: data, estimators, intervals, assumptions")
    how.add_argument("--md", action="store_true", help="the same as Markdown that stands alone")
    gate.add_argument("--html", metavar="FILE", type=Path, help="write a page with pictures as well")
    deploy = command(commands, "deploy", "delivering:deploy", "begin to make a version live")
    deploy.add_argument("version", metavar="MODEL@N")
    deploy.add_argument("--to", metavar="STAGE", help="shadow, canary:N%% or live; default: the rollout's first stage")
    deploy.add_argument("--override", metavar="REASON", help="against the gate, a freeze, or past stages")
    deploy.add_argument("--rehearse", action="store_true", help="only try the way there and back, beside the traffic")
    rollback = command(commands, "rollback", "delivering:rollback", "end a trial, or go back to the former version")
    rollback.add_argument("model")
    rollback.add_argument("--reason", default="asked for by hand")
    approve = command(commands, "approve", "governing:approve", "say that a version may, or must not, go forward")
    approve.add_argument("version", metavar="MODEL@N")
    approve.add_argument("--reason", required=True)
    approve.add_argument("--refuse", action="store_true", help="it must not")
    freeze = command(commands, "freeze", "governing:freeze", "let nothing of a model go forward; rollbacks may")
    freeze.add_argument("model")
    freeze.add_argument("--reason", required=True)
    freeze.add_argument("--until", metavar="TIME", help="a date or time; default: until `kairos unfreeze`")
    unfreeze = command(commands, "unfreeze", "governing:unfreeze", "end the freezes that people have begun")
    unfreeze.add_argument("model")
    unfreeze.add_argument("--reason", required=True)
    command(commands, "status", "looking_on:status", "what is live and on trial, what it waits for, until when")
    live = command(commands, "live", "delivering:live", "what is or was live, and who changed it")
    live.add_argument("--at", metavar="TIME", help="a date or time of the past")


def _serving(commands: Commands) -> None:
    for name, summary in (
        ("serve", "answer requests with what is live"),
        ("up", "serve, watch and retrain: the whole loop"),
    ):
        serve = command(commands, name, f"serving:{name}", summary)
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
    predict = command(commands, "predict", "scoring:predict", "predict every row of a table, in little memory")
    predict.add_argument("version", metavar="MODEL[@N]", help="a version; without a number the live one")
    predict.add_argument("table", metavar="TABLE", help=TABLE)
    predict.add_argument("-o", dest="output", metavar="FILE", type=Path, required=True, help="Parquet, CSV, …")
    predict.add_argument("--columns", metavar="A,B", help="of the table, that are copied; default: all")
    predict.add_argument("--skip-refused", action="store_true", help="rows that do not fit get no prediction")
    predict.add_argument("--no-capture", action="store_true", help="keep nothing: no answer can be explained")
    command(commands, "watch", "serving:watch", "look once at what is live; write findings down")
    labels = command(commands, "labels", "serving:labels", "take in late truths, or say how they arrive")
    labels.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="CSV with prediction_id and value, or entity, time and value"
    )
    labels.add_argument("--model", help="which model labels by entity and time are about")
    explain = command(commands, "explain", "explaining:explain", "where an answer came from")
    explain.add_argument("prediction", metavar="PREDICTION_ID")
    explain.add_argument("--why", action="store_true", help="what each input contributed, against training")
    explain.add_argument("--rebuild", action="store_true", help="make the model again: does it answer the same?")
    explain.add_argument("--tolerance", type=gap, metavar="X", help="of --rebuild; relative, by default 1e-9")
    explain.add_argument("--env", action="store_true", help="of --rebuild: in an environment made from the run's lock")
    why = command(commands, "why", "why:why", "what changed first when a model got worse")
    why.add_argument("model")
    when = why.add_mutually_exclusive_group()
    when.add_argument("--at", metavar="TIME", help="look from this date or time; default: now")
    when.add_argument("--finding", metavar="SEQ", type=count, help="a finding's ledger entry; default: the last alarm")


def _looking_back(commands: Commands) -> None:
    ledger = command(commands, "ledger", "looking_back:log", "the log of all facts")
    actions = ledger.add_subparsers(metavar="ACTION", required=True)
    log = command(actions, "log", "looking_back:log", "print the facts", is_action=True)
    log.add_argument("-n", dest="count", type=count, default=20, help="the last N")
    log.add_argument("--kind", help="only this kind, such as stage.changed")
    log.add_argument("--about", metavar="SUBJECT", help="only about this, such as demand@3")
    command(
        actions, "verify", "looking_back:verify", "recompute every hash; name the first broken entry", is_action=True
    )
    decide = command(commands, "decide", "deciding:decide", "make past decisions again, from the ledger alone")
    decide.add_argument("--replay", metavar="ENTRY|all", required=True, help="the ledger entry of the decision")
    store = command(commands, "store", "keeping:verify", "the bytes behind the facts")
    kept = store.add_subparsers(metavar="ACTION", required=True)
    verify = command(
        kept, "verify", "keeping:verify", "read every blob again; name those that are damaged", is_action=True
    )
    verify.add_argument("--fetch", action="store_true", help="fetch those that are damaged or missing from a remote")
    verify.add_argument("--remote", metavar="NAME", help="from which; default: core.remote")
    report = command(commands, "report", "looking_back:report", "one self-contained HTML page with pictures")
    report.add_argument(
        "-o", dest="output", metavar="FILE", type=Path, help="where to; default: report.html in the project's folder"
    )
    replay = command(commands, "replay", "looking_back:replay", "send the past as traffic, under another clock")
    replay.add_argument("--window", metavar="START..END", help="what is sent; default: all that follows the first run")
    replay.add_argument("--report", metavar="FILE", type=Path, help="write a report of it, one HTML page with pictures")
    replay.add_argument("--into", metavar="FOLDER", type=Path, help="where its facts go; default: in .kairos/replays")
    policy = command(commands, "policy", "comparing:compare", "what other settings would have lost")
    what = policy.add_subparsers(metavar="ACTION", required=True)
    compare = command(what, "compare", "comparing:compare", "which of two would have lost less", is_action=True)
    compare.add_argument("first", metavar="A.toml", type=Path, help="tables such as [model.NAME.retrain]")
    compare.add_argument("second", metavar="B.toml", type=Path)


_KINDS: dict[Callable[[Commands], None], tuple[str, ...]] = {
    _starting: ("init", "demo"),
    _running: ("run", "tune", "runs", "show", "rebuild", "diff"),
    _importing: ("import",),
    _delivering: ("models", "gate", "deploy", "rollback", "approve", "freeze", "unfreeze", "status", "live"),
    _serving: ("serve", "up", "predict", "watch", "labels", "explain", "why"),
    add_data: ("data",),
    _looking_back: ("ledger", "decide", "store", "report", "replay", "policy"),
}
"""What adds which commands, in the order of the help."""
