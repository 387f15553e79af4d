"""``serve``, ``up``, ``watch``, ``labels``."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.app.retrying import decide_again
from kairos.cli.listening import Doors, doors_of, workers_of
from kairos.cli.logs import log_to_stderr
from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.clock import ReplayClock
from kairos.errors import UsageError
from kairos.store.rolling import rolling
from kairos.values import Digest, Json, VersionRef, parse_moment, plain

if TYPE_CHECKING:
    from kairos.app.project import Project
    from kairos.app.settings.values import CaptureMode
    from kairos.serving.workers import Seat

__all__ = ["labels", "serve", "sit", "up", "watch"]

_LONGEST_EXAMPLE = 1_000
"""Characters of a row that is shown; one with arrays may have thousands."""


def serve(args: Namespace) -> int:
    """Answers requests until stopped."""
    with open_project(args) as project:
        if args.home:
            project.home = args.home.absolute()
        if args.replay:  # whoever replays rolls as well
            project.clock = ReplayClock(parse_moment(args.replay))
            _serve(args, project)
        else:
            with rolling(project.home / "predictions"):
                _serve(args, project)
    return 0


def up(args: Namespace) -> int:
    """Serves, and turns the loop beside it."""
    from kairos.app.looping import Loop

    with open_project(args) as project, rolling(project.home / "predictions"), ExitStack() as stack:
        loop = Loop(project)
        _serve(args, project, on_ready=lambda: stack.enter_context(loop))
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    if not loop.has_ended:  # at something that takes longer; all that it writes is whole or not there
        sys.stdout.flush()
        os._exit(0)
    return 0


def watch(args: Namespace) -> int:
    """Looks once; writes new findings down."""
    from kairos.app.quality import beside_sentences, find_quality
    from kairos.app.watching import Watch

    with open_project(args) as project:
        project.predictions.roll()
        models = [m for m in project.settings.models.values() if m.name in project.state().models]
        watches = {model.name: Watch(project, model) for model in models}
        found = {name: decide_again(watch.look) for name, watch in watches.items()}
        if args.json:
            show_json([finding for findings in found.values() for finding in findings])
        elif not any(found.values()):
            say("Nothing was found.")
        for name, findings in () if args.json else found.items():
            say(*(f"{finding.level:5}  {finding.sentence}" for finding in findings))
            if any(finding.level == "alarm" for finding in findings):
                say(f"       What changed first? Type: kairos why {name}")
            quality = find_quality(project, watches[name])
            say(*(() if quality is None else beside_sentences(quality)))
    return 0


def labels(args: Namespace) -> int:
    """Takes late truths from a file, all of them or none; without a file, says how labels arrive."""
    from kairos.app.labelling import take_labels

    with open_project(args) as project:
        if args.file is None:
            return _tell_arrivals(args, project)
        if args.file.is_dir():
            raise UsageError("Labels come from a file.", given=f"the folder {args.file}", accepted="a CSV file")
        taken = take_labels(project, args.file, model=args.model)
        if args.json:
            show_json({**plain(taken), "unmatched": taken.unmatched})
            return 0
        say(f"{taken.labels} {'label' if taken.labels == 1 else 'labels'} taken, {taken.new} of them new.")
        if taken.ambiguous:
            say(f"{taken.ambiguous} are near predictions of more than one time, and were joined to none.")
        if taken.unmatched:
            say(f"{taken.unmatched} are about no prediction in the log; they will join if it comes.")
    return 0


def _tell_arrivals(args: Namespace, project: Project) -> int:
    """How late the labels of each model are, and which could not be joined."""
    from kairos.app.arriving import arrivals_of

    found = {name: arrivals_of(project, model) for name, model in project.settings.models.items()}
    if args.json:
        show_json(found)
        return 0
    for name, each in found.items():
        say(f"{name}: {each.maturity.sentence()}")
        if each.ambiguous or each.unmatched:
            say(
                f"  Of the labels by entity and time of the last four weeks, {each.joined} were joined to predictions, "
                f"{each.ambiguous} are near predictions of more than one time, {each.unmatched} are about none."
            )
    return 0


def _serve(args: Namespace, project: Project, *, on_ready: Callable[[], object] = lambda: None) -> None:
    """Serves until stopped; ``on_ready`` is called once requests are answered, so not if the address cannot be used."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a row is too small for two threads; read when they are loaded
    log_to_stderr()
    project.ledger  # noqa: B018 - an error in it is told before anything starts; workers begin without one
    doors, needs_one = doors_of(args, project), args.execute != "serving:up"  # whose loop may bring one

    def announce(url: str, told: Mapping[str, Json], spoken: Collection[str]) -> None:
        on_ready()
        _announce(args, project, url, told, spoken)

    if (count := workers_of(args)) > 1:
        _supervise(project, count, doors, announce, needs_one=needs_one, capture=args.capture)
        return
    from kairos.cli.working import opened, pages_of, told_of
    from kairos.serving.process import serve as run

    server, spoken = opened(project, needs_one=needs_one, capture=args.capture), list[str]()
    run(
        server,
        host=doors.host,
        port=doors.port,
        pages=pages_of(project),
        grpc_port=doors.grpc_port,
        certificate=doors.certificate(),
        limits=project.settings.limits,
        on_grpc=spoken.append,
        on_ready=lambda url: announce(url, told_of(server), spoken),
    )


def _supervise(
    project: Project,
    count: int,
    doors: Doors,
    announce: Callable[[str, Mapping[str, Json], Collection[str]], None],
    *,
    needs_one: bool,
    capture: CaptureMode | None,
) -> None:
    """Serves with several workers."""
    from kairos.serving.supervising import supervise
    from kairos.serving.workers import listen

    doors.certificate()  # an error in it is told before anything starts
    host, spoken = doors.host, list[str]()
    if doors.grpc_port is not None:
        with listen(host, doors.grpc_port, option="--grpc-port")[0] as free:
            doors = replace(doors, grpc_port=free.getsockname()[1])
        spoken = [f"{f'[{host}]' if ':' in host else host}:{doors.grpc_port}"]
    supervise(
        partial(sit, root=project.root, needs_one=needs_one, doors=doors, capture=capture),
        count=count,
        host=host,
        port=doors.port,
        scheme="http" if doors.cert is None else "https",
        preload=["kairos.cli.working"],
        on_ready=lambda url, told: announce(url, told[0], spoken),
        patience_s=project.settings.watchdog.total_seconds(),
    )


def sit(seat: Seat, *, root: Path, needs_one: bool, doors: Doors, capture: CaptureMode | None) -> None:
    """A worker's work; the supervisor, who only names it, does not load what it needs."""
    from kairos.cli.working import work

    work(seat, root=root, needs_one=needs_one, doors=doors, capture=capture)


def _announce(args: Namespace, project: Project, url: str, told: Mapping[str, Json], spoken: Collection[str]) -> None:
    """Says what answers, and where; ``spoken`` holds the address of gRPC, if it is spoken."""
    from kairos.app.packages import open_stored
    from kairos.app.standing import unapplied

    answering = {VersionRef.parse(ref): Digest(package) for ref, package in told["answering"].items()}
    if args.json:
        shown: dict[str, Json] = {"url": url, "serving": [str(ref) for ref in answering]}
        if spoken:
            shown["grpc"] = next(iter(spoken))
        print(json.dumps(shown), flush=True)
        return
    say(f"Serving {', '.join(map(str, answering)) or 'nothing yet'} at {url} (Ctrl-C stops)")
    say(*(f"  gRPC at {address}" for address in spoken))
    for ref, package in answering.items():
        known = project.settings.models.get(ref.model)
        hidden = () if known is None else known.privacy.pseudonymise
        example = _without(open_stored(project.store, package).example, hidden)
        body = json.dumps(example)
        if len(body) <= _LONGEST_EXAMPLE:
            say(f"  curl {url}/predict/{ref.model} -d {shlex.quote(body)}")
        else:  # arrays, or very many columns
            say(f"  {url}/predict/{ref.model} takes {', '.join(example)}; an example is at {url}/docs")
    for lost in told["diverged"]:
        say(f"note: {lost['ledger']} is live, but {lost['answers'] or 'nothing'} answers: {lost['reason']}")
    say(*(f"note: {sentence}" for sentence in unapplied(project).values()))
    sys.stdout.flush()


def _without(example: Mapping[str, Json], hidden: Collection[str]) -> dict[str, Json]:
    """An example request to be printed: a value of a field that is kept as a pseudonym is not shown."""
    return {name: "..." if name in hidden else value for name, value in example.items()}
