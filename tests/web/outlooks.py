"""A status page of a model that has a version on trial."""

from __future__ import annotations

from dataclasses import replace

from kairos.app.outlook import Outlook, Waiting
from kairos.values import VersionRef
from kairos.web.status import StatusPage
from tests.web.test_quality_drawings import quality
from tests.web.test_rollout_drawings import START, loss, path

__all__ = ["with_outlook"]


def with_outlook(page: StatusPage) -> StatusPage:
    """The page, with what its first model waits for."""
    trial = Waiting(
        version=VersionRef("demand", 9),
        stage="canary",
        share=0.05,
        since=START,
        words=("The new version stays at 5 % of the requests, and still missing is: a day.", "That is there tomorrow."),
        is_overdue=True,
        obstacles=("ann froze demand until somebody unfreezes it: <b>the move</b>. A rollback is possible.",),
        worth=("revenue 0.2 lower a request (0.5 lower to 0.1 higher, 812 values)",),
        path=path(loss(24, 8.0), loss(240, 1.5)),
    )
    champion = VersionRef("demand", 8)
    outlook = Outlook(
        model="demand",
        champion=champion,
        since=START,
        quality=quality(20.0, 25.0),
        trial=trial,
        freezes=trial.obstacles,
        freezes_ahead=(
            "From 2012-03-09 16:00 to 2012-03-12 08:00 UTC nothing will go forward: 'fri 16:00..mon 08:00'.",
        ),
    )
    return replace(page, models=(replace(page.models[0], outlook=outlook), *page.models[1:]))
