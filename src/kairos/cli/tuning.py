"""``tune``."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project, recorded
from kairos.cli.output import say, show_json
from kairos.cli.running import read_params
from kairos.errors import StepFailed
from kairos.pipeline.typed import typed
from kairos.values import Json, Window, parse_duration, plain

if TYPE_CHECKING:
    from kairos.app.tuning import Ended, Event, Opened, Tuned
    from kairos.experiments.space import Params

__all__ = ["tune"]


def tune(args: Namespace) -> int:
    """Searches params, and says whether the best beat the current ones by more than chance."""
    from kairos.app.training import train
    from kairos.app.tuning import tune as search
    from kairos.app.tuning.question import merged

    with open_project(args) as project:
        window = Window.parse(args.window) if args.window else None
        base = read_params(args.params)
        screen = _Screen(quiet=args.json)
        with recorded(project) as record:
            record.open()
            try:
                tuned = search(
                    project,
                    args.model,
                    trials=args.trials,
                    window=window,
                    params=base,
                    spaces=args.space,
                    sampler=args.sampler,
                    pruner=args.pruner,
                    prune_after=args.prune_after,
                    seed=args.seed,
                    workers=args.workers,
                    time_limit=None if args.time_limit is None else parse_duration(args.time_limit),
                    on_event=screen.note,
                )
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"stopped: {screen.ended} trials of this search are over and kept. The same command goes on."
                ) from None
            outcome = tuned.outcome
            registered: list[str] = []
            if args.register and outcome is not None and outcome.verdict == "better":
                whole = tuned.question.window
                found = train(project, window=whole, params=merged(base, tuned.question.params(outcome.winner.params)))
                registered = [str(ref) for ref in (*found.versions, *found.unchanged)]
    if args.json:
        show_json(_plain(tuned, registered))
    else:
        say(*_outcome_lines(tuned, registered))
    if outcome is None:
        why = (
            "The reasons are above; `kairos runs --trials` lists them."
            if tuned.trials
            else "Type a longer --time-limit."
        )
        raise StepFailed("No trial finished.", hint=why)
    return 0


class _Screen:
    """Prints a line for each trial that is over: whole lines, so that a log of CI reads well."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.ended = 0

    def note(self, event: Event) -> None:
        """Tells of an event."""
        from kairos.app.tuning import Ended, Judges, Opened, Prepares, Waits

        self.ended += isinstance(event, Ended)
        if self._quiet:
            return
        if isinstance(event, Prepares):
            if event.study is not None:
                self._print(f"study {event.study} goes on, and its window with it; a later one is asked by --window")
            self._print(f"the model is made with its current params on {_days(event.window)}")
        elif isinstance(event, Opened):
            say(*_opened_lines(event), "")
        elif isinstance(event, Ended):
            self._print(_ended_line(event))
        elif isinstance(event, Judges):
            self._print(f"trial {event.trial.number} is made on {_days(event.window)} and judged at its end")
        elif isinstance(event, Waits):
            self._print(f"waits for {event.holder}")
        elif event.what in ("ran", "failed", "waits"):
            why = f" for {event.why[0]}" if event.what == "waits" else f" ({event.elapsed_s:.1f} s)"
            self._print(f"{event.step:12}  {event.what}{why}")
        sys.stdout.flush()

    @staticmethod
    def _print(line: str) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S}  {line}")


def _days(window: Window) -> str:
    """``2011-01-01..2011-06-17`` for a window of whole days, whose last day is not in it."""
    return str(window).replace("T00:00:00Z", "")


def _opened_lines(event: Opened) -> list[str]:
    question = event.question
    plan, inner, model = question.plan, question.inner, question.model
    width = max(map(len, plan.space.ranges))
    count = "" if plan.space.count is None else f" of {plan.space.count} combinations"
    lines = [f"study {question.id} of {model.name}: {event.wanted} trials{count}, {plan.sampler}, seed {plan.seed}"]
    lines += [f"  {name:{width}}  {each}, now {plan.current[name]}" for name, each in plan.space.ranges.items()]
    if inner.how == "window":
        lines.append(
            f"Trials see {_days(inner.window)} and are judged on {inner.rows.count} rows of it ({model.holdout})."
        )
    else:
        lines.append(
            f"Trials are judged on {inner.rows.count} of the rows that the model learns from, by {inner.order}, as "
            f"{inner.why}."
        )
    lines.append(
        f"The {question.final.count} rows of {model.holdout} of {_days(question.window)} are kept for the end."
    )
    if event.had:
        lines.append(f"It goes on: {event.had} trials are over.")
    if event.other is not None:
        lines.append(f"note: this is another study than {event.other}.")
    return lines


def _ended_line(event: Ended) -> str:
    trial = event.trial
    what = f"trial {trial.number:<4}"
    said = "current params" if trial.number == 0 else _shown(trial.params)
    if trial.state == "finished":
        best = "best so far  " if event.is_best else "             "
        return f"{what}  {trial.value:<10.6g}  {best}{said}  ({event.elapsed_s:.1f} s)"
    if trial.state == "pruned":
        return f"{what}  pruned      at {trial.value:.6g}: {said}  ({event.elapsed_s:.1f} s)"
    return f"{what}  failed      {said}: {trial.why}"


def _outcome_lines(tuned: Tuned, registered: list[str]) -> list[str]:
    outcome, question = tuned.outcome, tuned.question
    counts = ", ".join(f"{count} {state}" for state, count in tuned.counts.items() if count) or "none began"
    end = "everything was tried" if tuned.is_exhausted else "the time was up, and the same command goes on"
    is_short = tuned.is_exhausted or tuned.is_late
    lines = ["", f"{len(tuned.trials)} trials: {counts}" + (f": {end}." if is_short else ".")]
    if outcome is None:
        return lines
    loss = question.model.gate.loss.replace("_", " ")
    if outcome.winner.number == 0:
        return [*lines, f"None beats the current params, whose mean {loss} in the search is {outcome.current:.6g}."]
    judged = outcome.judged
    lines.append(f"Best is trial {outcome.winner.number}: {_shown(outcome.winner.params)}")
    if judged is None:
        unseen = f"not compared: {outcome.reason}"
    else:
        unseen = (
            f"{judged.after:<10.6g} against {judged.before:<10.6g} {_by(judged.difference)}, interval "
            f"{judged.lower:.3g} to {judged.upper:.3g} ({100 * judged.level:.4g} %), of {judged.n} rows"
        )
    lines += [
        f"  mean {loss}, the current params' beside it:",
        f"    in the search   {outcome.searched:<10.6g} against {outcome.current:<10.6g} {_by(-outcome.claimed)}",
        f"    on unseen rows  {unseen}",
        _verdict(tuned),
    ]
    if outcome.optimism is not None:
        lines.append(_optimism(outcome.claimed, outcome.optimism))
    if outcome.rank > 1:
        lines.append(
            f"It is winner {outcome.rank} that is judged on these rows, so it has to be surer than the first was."
        )
    lines += [f"{ref} is registered. Next: kairos gate {ref}" for ref in registered]
    if not registered:
        lines.append(f"To make {'it' if outcome.verdict == 'better' else 'it all the same'}: {_command(tuned)}")
    if outcome.verdict == "better":
        told = ", ".join(f"{name} = {value!r}" for name, value in outcome.winner.params.items())
        lines.append(f"Later trainings take the defaults of the code. To keep it, make these the defaults: {told}")
    return lines


def _verdict(tuned: Tuned) -> str:
    assert tuned.outcome is not None
    return {
        "better": "It beats the current params by more than chance would make.",
        "worse": "It is worse than the current params, by more than chance would make: the search was fooled.",
        "no difference": "That is no difference that chance would not make: keep the current params, or get more rows.",
        "unknown": "Whether it beats the current params is not known.",
        "current": "",
    }[tuned.outcome.verdict]


def _optimism(claimed: float, optimism: float) -> str:
    if optimism <= 0:
        return f"Unseen rows take nothing back of the {claimed:.3g} that the search promised."
    promised = f"Of the {claimed:.3g} that the search promised"
    return f"{promised} unseen rows take back {optimism:.3g}: so much was luck, or of its time."


def _by(difference: float) -> str:
    return f"{abs(difference):.3g} {'less' if difference < 0 else 'more'}"


def _shown(params: Params) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in params.items())


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return (
        value if isinstance(value, str) else json.dumps(typed(value) if not isinstance(value, tuple) else list(value))
    )


def _command(tuned: Tuned) -> str:
    """What makes the winner: its values to the last digit, as a shell reads them."""
    assert tuned.outcome is not None
    question = tuned.question
    words = ["kairos", "run", "--window", str(question.window)]
    for step, params in question.params(tuned.outcome.winner.params).items():
        for name, value in params.items():
            words += ["-p", f"{step}.{name}={_typed_text(value)}"]
    return shlex.join(words)


def _typed_text(value: object) -> str:
    """As ``-p`` reads it: text that would be a number, or the like, in quotes."""
    if not isinstance(value, str):
        return json.dumps(list(value) if isinstance(value, tuple) else value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)


def _plain(tuned: Tuned, registered: list[str]) -> dict[str, Json]:
    outcome = tuned.outcome
    return {
        "study": tuned.question.id,
        **tuned.question.plain(),
        "trials": [plain(trial) for trial in tuned.trials],
        "outcome": None if outcome is None else {**outcome.plain(), "params": plain(outcome.winner.params)},
        "runs": dict(tuned.runs),
        "registered": registered,
        "command": None if outcome is None else _command(tuned),
    }
