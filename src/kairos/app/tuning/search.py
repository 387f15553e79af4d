"""A search: claims trials, lets them run, writes down what came of them, and judges the best at the end.

All state is in the ledger. Whoever is killed loses the trials that it was at, and lets go of their claims; the same
command, here or beside it, goes on from what is written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from queue import SimpleQueue

from kairos.app.measuring import measured_of
from kairos.app.project import Project
from kairos.app.tuning.events import Ended, Event, Judges, Opened, Tuned, Waits
from kairos.app.tuning.judging import JUDGED, Outcome, judge_winner, rank_of
from kairos.app.tuning.question import BEGAN, Question
from kairos.app.tuning.telling import judged_body, status_of, watch_of, what_differs
from kairos.app.tuning.trying import TRIED, Ran, run_on, run_trial, told_of
from kairos.errors import StepFailed
from kairos.experiments.space import Params
from kairos.experiments.study import Searcher, Trial, best_of, next_params, trial_of
from kairos.pipeline.reporting import Watch
from kairos.pipeline.result import RunStopped
from kairos.store.claims import Claims
from kairos.values import Json, canonical_json

__all__ = ["Search"]

_LOOK_S = 0.2
"""How often it is looked whether trials of other processes are over."""


class Search:
    """One process at a study; only its own thread touches it, and trials run in threads of their own."""

    def __init__(
        self,
        project: Project,
        question: Question,
        searcher: Searcher,
        claims: Claims,
        projects: Sequence[Project],
        wanted: int,
        time_limit: timedelta | None,
        on_event: Callable[[Event], None],
    ) -> None:
        self._project, self._question, self._searcher, self._claims = project, question, searcher, claims
        self._wanted, self._on_event = wanted, on_event
        self._free: SimpleQueue[Project] = SimpleQueue()
        for each in projects:
            self._free.put(each)
        self._slots = len(projects)
        self._began_s = time.monotonic()
        self._limit_s = None if time_limit is None else time_limit.total_seconds()
        self._seq = 0
        self._trials: dict[int, Trial] = {}
        self._running: dict[Future[dict[str, Json]], tuple[int, Params]] = {}
        self._runs: dict[str, str] = {}
        self._is_exhausted, self._is_late = False, False
        self._began_at = ""

    def begin(self, before: Ran) -> None:
        """Writes down that the study is there, if it is not, with the run of the current params."""
        question = self._question
        with self._alone("begin"):
            other = self._begin_study(before)
        self._on_event(Opened(question=question, had=len(self._trials), wanted=self._wanted, other=other))

    def _begin_study(self, before: Ran) -> str | None:
        """The last study of this model that this one is not, if this one is new."""
        question = self._question
        past = list(self._project.ledger.read(kinds=[BEGAN]))
        mine = [entry for entry in past if entry.subject == question.id]
        self._follow()
        other = None if mine else what_differs([e for e in past if e.body["model"] == question.model.name], question)
        if not mine:
            mine = [self._project.tell(BEGAN, subject=question.id, body=question.plain())]
        self._began_at = mine[0].at.isoformat()
        if "current" not in self._runs:
            self._tell_run("current", question.plan.current, before)
        return other

    def run(self) -> None:
        """Lets trials run until there are as many as are wanted.

        Raises:
            StepFailed: the current params fail.
            KeyboardInterrupt: somebody stopped it.
        """
        pool = ThreadPoolExecutor(self._slots, "kairos-trial")
        try:
            while True:
                while len(self._running) < self._slots and self._start(pool):
                    pass
                if not self._running:
                    if (holder := self._others()) is None:
                        if self._can_start():  # somebody let go of one just now
                            continue
                        return
                    self._on_event(Waits(holder=holder))
                    while self._others() is not None and not self._can_start():
                        time.sleep(_LOOK_S)
                    continue
                done, _ = wait(self._running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda each: self._running[each][0]):
                    self._ended(future)
        except BaseException:
            self._project.stopping.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for number, _ in self._running.values():
                self._claims.release(self._claim(number))

    def end(self, before: Ran) -> Tuned:
        """Judges the best trial and writes it down, unless this very question was answered already."""
        with self._alone("end"):
            return self._judge(before)

    def _judge(self, before: Ran) -> Tuned:
        question = self._question
        self._follow()
        trials = tuple(trial for _, trial in sorted(self._trials.items()))
        winner = best_of(trials)
        first = self._trials.get(0)
        if winner is None or first is None or first.value is None:
            return self._tuned(trials, None)
        after = None
        if winner.number != 0:
            self._on_event(Judges(trial=winner, window=question.window))
            params = question.params(winner.params)
            after = run_on(self._project, question.model, window=question.window, params=params, checked=True)
            if self._runs.get(f"winner {winner.number}") is None:
                self._tell_run(f"winner {winner.number}", winner.params, after)
        rank = rank_of(self._project, question, winner)
        outcome = judge_winner(self._project, question, winner, first, before, after, rank)
        tuned = self._tuned(trials, outcome)
        body = judged_body(tuned) | {"began_at": self._began_at}
        told = list(self._project.ledger.read(kinds=[JUDGED], subject=question.id))
        if not told or told[-1].body != json.loads(canonical_json(body)):  # who asks again gets the same answer
            self._project.tell(JUDGED, subject=question.id, body=body)
        return tuned

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Lets one process at a time do this in a study; others are waited for."""
        if not self._claims.take(self._claim(what)):
            self._on_event(Waits(holder=str(self._claims.holder(self._claim(what)) or "another search")))
            while not self._claims.take(self._claim(what)):
                time.sleep(_LOOK_S)
        try:
            yield
        finally:
            self._claims.release(self._claim(what))

    # One trial.

    def _start(self, pool: ThreadPoolExecutor) -> bool:
        """Begins the next trial that nobody is at; ``False``: there is none for now."""
        if not self._can_start():
            return False
        for number in range(self._wanted):
            if number in self._trials or number in {mine for mine, _ in self._running.values()}:
                continue
            if number and 0 not in self._trials:  # without the current params there is nothing to compare with
                return False
            if not self._claims.take(self._claim(number)):
                continue
            self._follow()
            if number in self._trials:  # between two looks
                self._claims.release(self._claim(number))
                continue
            return self._begin(pool, number)
        return False

    def _begin(self, pool: ThreadPoolExecutor, number: int) -> bool:
        past = [trial for _, trial in sorted(self._trials.items())]
        running = [params for _, params in self._running.values()]
        params = next_params(self._question.plan, number, past, running, self._searcher)
        if params is None:
            self._is_exhausted = True
            self._claims.release(self._claim(number))
            return False
        watch = watch_of(self._question, number, past)
        self._running[pool.submit(self._in_slot, number, params, watch)] = (number, params)
        return True

    def _in_slot(self, number: int, params: Params, watch: Watch | None) -> dict[str, Json]:
        project = self._free.get()
        started_s = time.perf_counter()
        try:
            body = run_trial(project, self._question, number, params, watch)
            return {**body, "elapsed_s": round(time.perf_counter() - started_s, 3)}
        finally:
            self._free.put(project)

    def _ended(self, future: Future[dict[str, Json]]) -> None:
        number, _ = self._running.pop(future)
        try:
            body = future.result()
            elapsed_s = float(body.pop("elapsed_s"))
            run = str(body["id"]) or f"{self._question.id}-{number}"
            self._project.tell(TRIED, subject=run, body={**body, "id": run, "status": status_of(body)})
        except RunStopped:
            raise KeyboardInterrupt from None
        finally:
            self._claims.release(self._claim(number))
        trial = trial_of(body, run)
        self._trials[number] = trial
        best = best_of(list(self._trials.values()))
        self._on_event(Ended(trial=trial, is_best=best is not None and best.number == number, elapsed_s=elapsed_s))
        if number == 0 and trial.state != "finished":
            raise StepFailed(
                "The current params fail on the rows that the search may see, so there is nothing to compare with: "
                f"{trial.why}",
                hint="Mend that, or give the search a longer window: --window START..END.",
            )

    # What others do.

    def _follow(self) -> None:
        """Takes in what is written of this study."""
        for entry in self._project.ledger.read(after=self._seq, kinds=[TRIED]):
            self._seq = entry.seq
            if entry.body.get("study") != self._question.id:
                continue
            if str(entry.body["trial"]).isdigit():
                trial = trial_of(entry.body, entry.subject)
                self._trials.setdefault(trial.number, trial)
            else:
                self._runs[entry.body["trial"]] = entry.subject

    def _others(self) -> str | None:
        """Who is at a trial that this search wants; ``None``: nobody."""
        self._follow()
        for number in range(self._wanted):
            if number not in self._trials and (holder := self._claims.holder(self._claim(number))) is not None:
                return str(holder)
        return None

    def _can_start(self) -> bool:
        if self._is_exhausted:
            return False
        self._follow()
        is_open = any(
            number not in self._trials and self._claims.holder(self._claim(number)) is None
            for number in range(self._wanted)
        )
        is_late = self._limit_s is not None and time.monotonic() - self._began_s > self._limit_s
        self._is_late = is_open and is_late
        return is_open and not is_late

    def _claim(self, what: int | str) -> str:
        return f"{self._question.id} {what}"

    def _tell_run(self, name: str, params: Params, ran: Ran) -> None:
        model, body = self._question.model, {**ran.body, **told_of(self._question, name, params)}
        if ran.result.ok:
            package = ran.result.models[model.step]
            body["metrics"] = dict(measured_of(self._project, model, package, body, intervals=False).metrics)
        state = "finished" if ran.result.ok else "failed"
        self._project.tell(TRIED, subject=ran.result.id, body={**body, "state": state, "value": None, "status": state})
        self._runs[name] = ran.result.id

    def _tuned(self, trials: tuple[Trial, ...], outcome: Outcome | None) -> Tuned:
        runs = {"current": self._runs["current"]}
        if outcome is not None and (run := self._runs.get(f"winner {outcome.winner.number}")) is not None:
            runs["winner"] = run
        return Tuned(
            question=self._question,
            trials=trials,
            outcome=outcome,
            runs=runs,
            is_exhausted=self._is_exhausted,
            is_late=self._is_late,
        )
