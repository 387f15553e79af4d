"""The status page: what is live now, who put it there, on which evidence, and what was found and decided last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kairos.app.outlook import Outlook, Waiting
from kairos.app.quality import beside_sentences
from kairos.app.story import DecisionLine
from kairos.monitor.findings import Finding
from kairos.web.drawings.canvas import Canvas
from kairos.web.drawings.findings import findings_drawing
from kairos.web.drawings.quality import quality_drawing
from kairos.web.drawings.retrain import retrain_drawing
from kairos.web.drawings.rollout import guards_drawing, sequence_drawing
from kairos.web.pages import render_page

__all__ = ["FindingLine", "ModelStatus", "RunLine", "Shown", "StatusPage", "render_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model, as its users meet it."""

    name: str
    version: str | None
    """The champion, such as ``demand@3``; ``None``: nothing is live, and what follows about it is not shown."""
    since: datetime | None = None
    """When it went live."""
    actor: str = ""
    """Who or what put it there."""
    evidence: tuple[str, ...] = ()
    """The reasons for it, one sentence each."""
    override: str | None = None
    """What a person gave as reason for going past the gate; ``None`` if nobody did."""
    entry: int | None = None
    """The ledger entry that says all this."""
    challenger: str | None = None
    """The version on trial."""
    stage: Literal["shadow", "canary"] | None = None
    share: float = 0.0
    """The part of the requests that the challenger answers, in [0, 1]."""
    outlook: Outlook | None = None
    """What it waits for; ``None`` if that was not asked."""

    @property
    def waiting(self) -> list[Shown]:
        """What is on trial or bakes, with its pictures."""
        if self.outlook is None:
            return []
        return [_shown(self.name, one) for one in (self.outlook.trial, self.outlook.bake) if one is not None]

    @property
    def beside(self) -> tuple[str, ...]:
        """The live losses beside those that the version had when it was packaged, in sentences."""
        quality = None if self.outlook is None else self.outlook.quality
        return () if quality is None else beside_sentences(quality)

    @property
    def drawings(self) -> list[Canvas]:
        """Of the live version: its loss day by day, and why it was last decided to train anew."""
        if self.outlook is None:
            return []
        name, again, drawn = _letters(self.name), self.outlook.retrained, list[Canvas | None]()
        if self.outlook.quality is not None:
            drawn.append(quality_drawing(self.outlook.quality, name=f"{name}-quality"))
        if again is not None:
            drawn.append(retrain_drawing(again.policy, again.facts, name=f"{name}-retrain"))
        return [drawing for drawing in drawn if drawing is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A version that waits, and its pictures."""

    waiting: Waiting
    drawings: tuple[Canvas, ...]


def _shown(model: str, one: Waiting) -> Shown:
    name = "-".join(part for part in (_letters(model), one.stage) if part)
    drawn = []
    if one.path is not None:
        drawn = [sequence_drawing(one.path, name=f"{name}-loss"), guards_drawing(one.path, name=f"{name}-guards")]
    return Shown(waiting=one, drawings=tuple(drawing for drawing in drawn if drawing is not None))


def _letters(text: str) -> str:
    """What of a name may be part of an id: whatever the model is called, the page stays whole."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLine:
    """Something that a monitor found."""

    at: datetime
    subject: str
    """The version or the model that it is about."""
    level: Literal["info", "warn", "alarm"]
    sentence: str
    words: tuple[str, str] | None = None
    """The same in two sentences that need no statistics."""
    finding: Finding | None = None
    """With its figures; ``None``: it is told in another form than this release knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run that is no fact of the ledger: it goes on, or its process was killed."""

    name: str
    state: Literal["running", "dead"]
    at: datetime
    """Since when it runs, or when a dead one was last known to be alive."""
    steps: tuple[str, ...]
    """Those that were at work."""
    process: str
    """Its number, and on which machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """All that the page shows, as of one moment."""

    project: str
    at: datetime
    models: tuple[ModelStatus, ...]
    findings: tuple[FindingLine, ...] = ()
    """The latest first."""
    decisions: tuple[DecisionLine, ...] = ()
    """The latest first."""
    runs: tuple[RunLine, ...] = ()
    """The latest first."""
    ledger_head: int
    ledger_hash: str

    @property
    def drawing(self) -> Canvas | None:
        """The findings but those of the loss, which has a picture by day; ``None``: there are none."""
        shown = [(one.subject, one.finding) for one in self.findings if one.finding is not None]
        return findings_drawing([each for each in shown if each[1].check != "quality"], name="findings-drawn")


def render_status(page: StatusPage) -> str:
    """The page as HTML: self-contained, without scripts; it shows a moment and is made anew for each visit."""
    return render_page("status.html", page=page)
