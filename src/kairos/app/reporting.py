"""A project's own record as a story, without other policies: what was answered, found and decided."""

from __future__ import annotations

from datetime import timedelta

from kairos.app.project import Project
from kairos.app.story import Story
from kairos.app.storytelling import tell_story
from kairos.errors import NotFound
from kairos.values import Window

__all__ = ["story_of"]

_FOOTNOTES = ("Only answers whose truth is known are counted.",)


def story_of(project: Project) -> Story:
    """The story of the first model that has ever been live, from then to now.

    Raises:
        NotFound: nothing was ever live.
    """
    live = [e for e in project.ledger.read(kinds=["stage.changed"]) if e.body["to"] == "live"]
    if not live:
        raise NotFound("There is nothing to report: no version was ever live.", hint="Type: kairos deploy MODEL@1")
    model = project.settings.model(live[0].subject.partition("@")[0])
    start = live[0].at.replace(hour=0, minute=0, second=0, microsecond=0)
    end = project.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    window = Window(start, max(end, start + timedelta(days=1)))
    return tell_story(project, model=model, window=window, others={}, footnotes=_FOOTNOTES)
