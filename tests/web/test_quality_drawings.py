"""The live version's loss by day, and why it was trained anew, as pictures with their words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from kairos.app.quality import Quality
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.readings import Reading
from kairos.monitor.findings import Finding
from kairos.values import VersionRef, Window
from kairos.web.drawings.quality import quality_drawing
from kairos.web.drawings.retrain import retrain_drawing

START = datetime(2012, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SVG = "{http://www.w3.org/2000/svg}"


def quality(*means: float, tolerated: float | None = 30.0) -> Quality:
    """A day for each mean, and an alarm on the last."""
    at = START + len(means) * DAY
    alarm = Finding(
        check="quality", level="alarm", column=None, value=40.0, lower=None, upper=None, threshold=30.0,
        window=Window(START, at), rows=240, sentence="in full", version=5,
    )  # fmt: skip
    days = tuple((START + (day + 1) * DAY, mean, 24) for day, mean in enumerate(means))
    return Quality(
        version=VersionRef("demand", 5), loss="mean absolute error", days=days, usual=tolerated and 20.0,
        tolerated=tolerated, findings=((at, alarm),),
    )  # fmt: skip


def reading(week: int, champion: float, fresh: float) -> Reading:
    """A week of 24 rows a day."""
    begins = START + 7 * week * DAY
    noise = [1.0 + 0.01 * (day % 3) for day in range(7)]
    return Reading(
        window=Window(begins, begins + 7 * DAY), rows=(24,) * 7, champion=tuple(24 * champion * one for one in noise),
        tried={"all": (24 * fresh,) * 7}, chosen="all", age_days=7.0 * (week + 1),
    )  # fmt: skip


def test_days_are_drawn_with_what_is_tolerated_and_what_was_found() -> None:
    """The description counts the days above it."""
    drawing = quality_drawing(quality(20.0, 25.0, 36.0, 41.0), name="live")
    assert drawing is not None
    root = ElementTree.fromstring(drawing.svg())
    said = [e.text for e in root.iter(f"{SVG}text")]
    assert {"tolerated", "holdout"} <= set(said)
    assert "2 of 4 days were above it. 1 alarm among 1 finding." in drawing.description
    assert quality_drawing(quality(), name="live") is None
    alone = quality_drawing(quality(20.0, tolerated=None), name="live")
    assert alone is not None
    assert "tolerated" not in alone.svg()


def test_regret_grows_towards_the_price() -> None:
    """Two bars a block, and the words of the last block; without readings there is nothing to draw."""
    readings = tuple(reading(week, 25.0 + week, 20.0) for week in range(4))
    facts = RetrainFacts(now=START + 28 * DAY, champion_trained_at=START, alarms=(), readings=readings, usual_loss=20.0)
    drawing = retrain_drawing(RetrainPolicy(), facts, name="again")
    assert drawing is not None
    assert "worth of a change" in drawing.svg()
    assert "On the last 168 rows the live version lost 28.2 a row and a fresh one 20.0" in drawing.description
    none = RetrainFacts(now=START, champion_trained_at=START, alarms=())
    assert retrain_drawing(RetrainPolicy(), none, name="again") is None
