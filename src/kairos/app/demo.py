"""The main job on real data: two years of bicycle rentals, from raw rows to decisions, in a few minutes.

It is a replay of the example project, with two mishaps on the way: somebody tries to learn from columns that add up to
the target, and somebody deploys a version that is bad in a way that no holdout shows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kairos.app.deploying import deploy
from kairos.app.judging import judge
from kairos.app.replay import Listener, Replay, replay_project
from kairos.app.starting import start_project
from kairos.app.story import Story
from kairos.app.training import default_window, recent_window, train
from kairos.delivery.rollout import StageStep
from kairos.errors import KairosError
from kairos.values import Window

__all__ = ["run_demo"]

START = datetime(2011, 7, 1, tzinfo=UTC)
END = datetime(2013, 1, 1, tzinfo=UTC)
LEAK = {"features": {"keep_parts": True}}
BUG = {"features": {"fahrenheit": True}}
BUG_AT = datetime(2012, 6, 4, tzinfo=UTC)
HURRY = "the holdout looks great and the release is today"
FOOTNOTES = (
    "The first half of 2011 is what the first model learns from; what follows is sent as traffic.",
    "On 4 June 2012 somebody deploys, around the rollout, a version trained in degrees Fahrenheit, while requests come "
    "in Celsius; the harm done until it is rolled back is part of Kairos' error.",
    "The other policies answer every hour with the same kind of model and the same output range; 'retrain weekly' "
    "learns from the same history and holds nothing out.",
    "The weather is what was measured, not a forecast, so the errors of all policies are a little too good.",
)


def run_demo(target: Path, listener: Listener, *, seed: int = 0, until: datetime | None = None) -> Story:
    """Makes a project in ``target`` and lets two years pass.

    Args:
        target: A folder that does not exist, or is empty.
        listener: Is told of everything.
        seed: Of the project; the same seed gives the same ledger, to the byte.
        until: Ends the traffic earlier than the data.

    Raises:
        UsageError: the folder is in use.
    """
    listener.stage("a project from the example 'bikes': real hourly rentals of 2011 and 2012, dirty as they were found")
    root = start_project("bikes", target, committed_at=START, seed=seed)
    return replay_project(
        root,
        root / ".kairos",
        listener,
        window=Window(START, END if until is None else min(until, END)),
        before=_refuse_leakage,
        each_day=_hurry,
        footnotes=FOOTNOTES,
    )


def _refuse_leakage(replay: Replay) -> None:
    """Tries to learn from columns that add up to the target."""
    replay.listener.stage("a run that would learn from 'casual' and 'registered', which add up to the target")
    tried = train(replay.project, window=default_window(replay.project), params=LEAK)
    replay.tell()
    if tried.result.ok:
        raise KairosError("Leaking features were accepted.", hint="This is a defect of Kairos; please report it.")


def _hurry(replay: Replay, now: datetime) -> None:
    """One day, trains in Fahrenheit what is asked in Celsius, and deploys it; the gate cannot see it, traffic does."""
    if now != BUG_AT:
        return
    project = replay.project
    careful, project.actor = project.actor, "somebody in a hurry"
    try:
        trained = train(project, window=recent_window(project), params=BUG)
        for ref in trained.versions:
            judge(project, ref)
            deploy(project, ref, to=StageStep(stage="live", share=1.0), override=HURRY)
    finally:
        project.actor = careful
