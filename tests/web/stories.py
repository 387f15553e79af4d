"""Made-up stories: one like two years of bicycle rentals, and one whose every text is hostile."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from kairos.app.story import DayPoint, DecisionLine, HourPoint, PolicyLine, Story
from kairos.values import Verdict, Window

__all__ = ["HOSTILE", "bikes", "empty", "hostile"]

START = datetime(2011, 7, 1, tzinfo=UTC)
END = datetime(2013, 1, 1, tzinfo=UTC)
HOSTILE = (
    "</title></style><script>alert('ü')</script><img src=https://evil.example/x onerror=alert(1)>"
    "&\"'{{7*7}}\x00\x1b\ud800"
)

_LIVE_AT = [date(2011, 7, 1), date(2011, 9, 14), date(2011, 9, 30), date(2012, 3, 20), date(2012, 5, 2),
            date(2012, 6, 9), date(2012, 9, 12)]  # fmt: skip
"""When the versions 1, 2, 4, 6, 8, 10 and 12 go live."""


def bikes(*, seed: int = 0, findings: int = 60) -> Story:
    """Eighteen months with seven deployments, rejected versions between them, and one that is rolled back."""
    noise = random.Random(seed)
    days = tuple(_day(START.date() + timedelta(days=n), noise) for n in range((END - START).days))
    return Story(
        project="mybikes",
        title="Two years of bicycle rentals",
        span=Window(START, END),
        seed=seed,
        unit="users per hour",
        loss_unit="users per hour",
        days=days,
        hours=tuple(_hours(noise)),
        decisions=tuple(_decisions(noise, findings)),
        policies=(
            PolicyLine(name="Kairos", loss=46.2, deployments=7, impossible_predictions=0, note="gates, shadow, canary"),
            PolicyLine(name="retrain weekly", loss=43.6, deployments=78, impossible_predictions=0, note="no gate"),
            PolicyLine(name="never retrain", loss=85.4, deployments=1, impossible_predictions=0),
        ),
        places={"MLflow record": "mlflow.db", "ledger": ".kairos/ledger.db", "report": "report.html"},
        ledger_head=214,
        ledger_hash=hashlib.sha256(b"head").hexdigest(),
        footnotes=(
            "The weather is the weather that was measured; a forecast would be less exact.",
            "Two years of one city show how the loop behaves, and prove nothing about other data.",
        ),
    )


def hostile() -> Story:
    """A story in which every text, where a person or a foreign system may choose it, tries to break out of the page."""
    story = bikes(findings=5)
    return replace(
        story,
        project=HOSTILE,
        title=HOSTILE,
        unit=HOSTILE,
        loss_unit=HOSTILE,
        days=tuple(replace(day, drift_column=HOSTILE) for day in story.days),
        decisions=tuple(
            replace(
                decision,
                kind=HOSTILE,
                subject=f"{HOSTILE}@{n % 9 + 1}",
                sentence=HOSTILE,
                actor=HOSTILE,
                entry_hash=HOSTILE,
            )
            for n, decision in enumerate(story.decisions)
        ),
        policies=tuple(replace(policy, name=HOSTILE, note=HOSTILE) for policy in story.policies),
        places={HOSTILE: HOSTILE},
        ledger_hash=HOSTILE,
        footnotes=(HOSTILE,),
    )


def empty() -> Story:
    """A story in which nothing has happened yet."""
    return Story(
        project="new",
        title="Nothing yet",
        span=Window(START, START),
        seed=0,
        days=(),
        hours=(),
        decisions=(),
        policies=(),
        ledger_head=0,
        ledger_hash="0" * 64,
    )


def _day(day: date, noise: random.Random) -> DayPoint:
    since = (day - START.date()).days
    season = 1 + 0.35 * math.sin((since + 20) / 365 * 2 * math.pi)
    weekend = 1.25 if day.weekday() >= 5 else 1.0
    live = max(d for d in _LIVE_AT if d <= day)
    age = (day - live).days
    never = (35 + 0.12 * since) * season * weekend + noise.gauss(0, 9)
    weekly = 38 * season * weekend + noise.gauss(0, 7)
    ours = weekly + min(age, 80) * 0.25 + noise.gauss(0, 3)
    columns = ("temperature_c", "feels_like_c", "humidity", "windspeed", "weather", "season")
    drift = 0.05 + 0.012 * min(age, 90) + abs(noise.gauss(0, 0.04)) if since >= 7 else None
    return DayPoint(
        day=day,
        kairos_loss=ours if since % 97 else None,
        never_loss=never,
        weekly_loss=weekly,
        version=2 * _LIVE_AT.index(live) or 1,
        drift=drift,
        drift_column=None if drift is None else noise.choices(columns, (9, 3, 2, 1, 1, 1))[0],
    )


def _hours(noise: random.Random) -> list[HourPoint]:
    hours = []
    for start, before, after in ((datetime(2012, 3, 13, tzinfo=UTC), 4, 6), (datetime(2012, 6, 2, tzinfo=UTC), 8, 10)):
        for n in range(14 * 24):
            at = start + timedelta(hours=n)
            rush = 250 * math.exp(-((at.hour - 8) ** 2) / 3) + 380 * math.exp(-((at.hour - 17.5) ** 2) / 6)
            truth = max(1.0, round((rush + 60) * (0.7 if at.weekday() >= 5 else 1) + noise.gauss(0, 20)))
            mixes = 4 * 24 <= n < 7 * 24  # a canary, with a third of the requests
            version = after if n >= 7 * 24 or (mixes and noise.random() < 1 / 3) else before
            guess = truth * (0.97 if version == after else 0.72) + noise.gauss(0, 22)
            hours.append(HourPoint(at=at, prediction=max(0.0, guess), truth=truth, version=version))
    return hours


def _decisions(noise: random.Random, findings: int) -> list[DecisionLine]:
    facts: list[tuple[datetime, str, str, Verdict | None, str | None, str, str]] = []
    for index, day in enumerate(_LIVE_AT):
        live = datetime(day.year, day.month, day.day, tzinfo=UTC)
        number = 2 * index or 1
        ref, asked = f"demand@{number}", live - timedelta(days=10)
        if index == 0:
            facts.append((live, "stage", ref, "hold", "live", "live: the first version", "ann"))
            continue
        facts += [
            (asked, "retrain", "demand", None, None, "retrain: quality is worse than tolerated since 3 days", "kairos"),
            (asked, "gate", ref, "pass", None, "pass: absolute error is 5.1 to 9.8 lower (95 %) on 336 rows", "kairos"),
            (asked, "stage", ref, "pass", "shadow", "shadow: beside demand@1", "kairos"),
            (live - timedelta(days=6), "stage", ref, "pass", "canary", "canary: 10 % of requests", "kairos"),
            (live, "stage", ref, "pass", "live", "live: proven better on 412 paired requests", "kairos"),
        ]
        lost = asked - timedelta(days=21)
        if lost > START and number not in (2, 10):
            ref = f"demand@{number - 1}"
            facts += [
                (
                    lost,
                    "gate",
                    ref,
                    "fail",
                    None,
                    "fail: absolute error is 0.3 to 2.2 higher on 336 rows",
                    "kairos",
                ),
                (lost, "stage", ref, "fail", "rejected", "rejected: the gate's verdict is fail", "kairos"),
            ]
    bad = datetime(2012, 6, 4, tzinfo=UTC)
    facts += [
        (bad, "gate", "demand@9", "pass", None, "pass: looks well on the holdout", "kairos"),
        (bad, "stage", "demand@9", "pass", "canary", "canary: the release is today", "bob"),
        (bad + timedelta(hours=14), "stage", "demand@9", "fail", "rolled_back", "rolled back: bad answers", "kairos"),
    ]
    for _ in range(findings):
        at = START + timedelta(days=noise.randrange(20, 540))
        facts.append(
            (at, "finding", "demand", None, None, "input_drift of temperature_c: PSI 0.31 is above 0.25", "kairos")
        )
    facts.sort(key=lambda fact: fact[0])
    return [
        DecisionLine(
            at=at, kind=kind, subject=subject, verdict=verdict, stage=stage, sentence=sentence, actor=actor, seq=seq,
            entry_hash=hashlib.sha256(str(seq).encode()).hexdigest(),
        )
        for seq, (at, kind, subject, verdict, stage, sentence, actor) in enumerate(facts, 3)
    ]  # fmt: skip
