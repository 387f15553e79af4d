"""A rollout drawn: bounds over time with stages and margin, and each guard beside its limit."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from kairos.app.outlook import Path
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.evidence import Guard, PairedLoss, RolloutEvidence
from kairos.web.drawings.rollout import guards_drawing, sequence_drawing
from tests.web.stories import HOSTILE

START = datetime(2012, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SVG = "{http://www.w3.org/2000/svg}"


def loss(pairs: int, width: float, *, worse: float = -1.0) -> PairedLoss:
    """Of a champion that loses 20 on average."""
    return PairedLoss(
        pairs=pairs, champion_mean=20.0, challenger_mean=20.0 + worse, lower=worse - width, upper=worse + width,
        harm_log_e=-1.0,
    )  # fmt: skip


def path(*losses: PairedLoss | None, guard: str = "errors") -> Path:
    """One look a day; the canary began on the second."""
    guards = (Guard(name=guard, pairs=(1, 1), own=(1, 500)),)
    evidence = [
        RolloutEvidence(as_of=START + day * DAY, since=START, loss=one, guards=guards)
        for day, one in enumerate(losses, 1)
    ]
    stages = ((START, "shadow"), (START + 2 * DAY, "canary 5 %"))
    return Path(policy=RolloutPolicy(), evidence=tuple(evidence), stages=stages)


def texts(svg: str) -> list[str]:
    """What is written in it."""
    return [e.text or "" for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_bounds_narrow_towards_what_is_allowed() -> None:
    """Stages, margin and the present bound are written, and the description says them in words."""
    drawing = sequence_drawing(path(loss(24, 8.0), loss(96, 3.0), loss(240, 1.5)), name="trial")
    assert drawing is not None
    said = texts(drawing.svg())
    for part in ("shadow", "canary 5 %", "10 % worse: allowed", "equally good"):
        assert part in said
    assert "On 240 labelled requests" in drawing.description
    assert "at most 2.5 % worse, 10 % are allowed" in drawing.description


def test_without_labels_there_is_no_picture_of_losses() -> None:
    """What is not known is not drawn; an infinite bound is drawn to the edge."""
    assert sequence_drawing(path(None, None), name="trial") is None
    endless = replace(loss(24, 1.0), lower=-math.inf, upper=math.inf)
    drawing = sequence_drawing(path(endless), name="trial")
    assert drawing is not None
    assert "nan" not in drawing.svg()
    assert "inf" not in drawing.svg()
    assert "is not known yet" in drawing.description


def test_each_guard_stands_beside_its_limit() -> None:
    """The loss is one of them; critical guards have half of alpha."""
    drawing = guards_drawing(path(loss(24, 8.0), loss(240, 1.5)), name="trial")
    assert drawing is not None
    said = texts(drawing.svg())
    assert {"loss", "errors"} <= set(said)
    assert "0.37 of 40" in said
    assert "acts at" in drawing.description


def test_a_hostile_guard_is_only_text() -> None:
    """The picture stays whole whatever an event is called."""
    drawing = guards_drawing(path(loss(24, 8.0), guard=HOSTILE), name="trial")
    assert drawing is not None
    assert {element.tag for element in ElementTree.fromstring(drawing.svg()).iter()}.isdisjoint({f"{SVG}script"})
