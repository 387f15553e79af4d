"""Pictures: what is computed for them, what they show, and that they are safe and steady SVG."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest

from kairos.app.story import DayPoint, DecisionLine, HourPoint, Story
from kairos.values import Window
from kairos.web.palette import BLUE, COLOURS, GREEN, INK, ORANGE, PAPER, PURPLE, SOFT, Colour
from kairos.web.pictures.answers import scatter_picture, stretch_pictures, stretches
from kairos.web.pictures.deployments import changes
from kairos.web.pictures.drift import drift_picture
from kairos.web.pictures.error import error_picture, trailing_mean
from kairos.web.pictures.picture import WIDTH, Picture, millis, x_pixel
from kairos.web.pictures.svg import draw, draw_alone
from kairos.web.pictures.timeline import Stay, stays, timeline_picture
from tests.web.stories import bikes, empty, hostile

DAY = timedelta(days=1)
START = datetime(2012, 1, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def pictures(story: Story) -> list[Picture]:
    """All that can be drawn of a story."""
    drawn = [error_picture(story), drift_picture(story), scatter_picture(story), timeline_picture(story)]
    return [picture for picture in drawn if picture is not None] + stretch_pictures(story)


def stage(day: int, subject: str, stage: str) -> DecisionLine:
    """A change of stage, so many days after the start."""
    return DecisionLine(
        at=START + day * DAY, kind="stage", subject=subject, verdict="pass", stage=stage, sentence="", actor="kairos",
        seq=day, entry_hash="",
    )  # fmt: skip


def day(number: int, mae: float | None) -> DayPoint:
    """A day of which only Kairos' error is known."""
    return DayPoint(
        day=date(2012, 1, number), kairos_loss=mae, never_loss=None, weekly_loss=None, version=None, drift=None,
        drift_column=None,
    )  # fmt: skip


def rows_of(picture: Picture) -> list[dict[str, Any]]:
    """All data rows of a picture."""
    return [row for rows in picture.specification()["datasets"].values() for row in rows]


@cache
def drawings(make: Callable[[], Story]) -> tuple[ElementTree.Element, ...]:
    """All pictures of a story, drawn and read again."""
    return tuple(ElementTree.fromstring(draw(picture)) for picture in pictures(make()))


def test_the_trailing_mean_forgets_after_seven_days() -> None:
    """Day 8 is the mean of the days 2 to 8."""
    means = trailing_mean([day(n, float(n)) for n in range(1, 9)], "kairos_loss")
    assert means[0] == (date(2012, 1, 1), 1.0)
    assert means[-1] == (date(2012, 1, 8), 5.0)


def test_the_trailing_mean_skips_unknown_days() -> None:
    """A day without a known error neither counts nor gets a point."""
    assert trailing_mean([day(1, 10.0), day(2, None), day(9, 4.0)], "kairos_loss") == [
        (date(2012, 1, 1), 10.0),
        (date(2012, 1, 9), 4.0),
    ]


def test_a_version_that_goes_live_ends_the_stay_of_the_one_before() -> None:
    """Stays follow each other, and the last one lasts until the end."""
    decided = [stage(0, "m@1", "live"), stage(1, "m@2", "shadow"), stage(2, "m@2", "canary"), stage(4, "m@2", "live")]
    at = [START + n * DAY for n in range(10)]
    assert stays(decided, until=at[9]) == [
        Stay("m@2", "shadow", at[1], at[2]),
        Stay("m@2", "canary", at[2], at[4]),
        Stay("m@1", "live", at[0], at[4]),
        Stay("m@2", "live", at[4], at[9]),
    ]


def test_a_rejected_version_stays_no_longer() -> None:
    """Its stay ends with the decision; another model's champion is not touched by it."""
    decided = [stage(0, "other@1", "live"), stage(1, "m@2", "shadow"), stage(3, "m@2", "rejected")]
    found = stays(decided, until=START + 9 * DAY)
    assert found == [
        Stay("m@2", "shadow", START + DAY, START + 3 * DAY),
        Stay("other@1", "live", START, START + 9 * DAY),
    ]


def test_a_rollback_is_one_post_though_it_is_two_decisions() -> None:
    """The version that comes back has had its post already."""
    decided = [
        stage(0, "m@1", "live"),
        stage(2, "m@2", "live"),
        stage(3, "m@1", "live"),
        stage(3, "m@2", "rolled_back"),
    ]
    assert [(change.label, change.is_setback) for change in changes(decided)] == [
        ("v1", False),
        ("v2", False),
        ("v2 rolled back", True),
    ]


def test_a_version_that_answered_nobody_has_no_post() -> None:
    """Rolled back out of shadow, no user noticed; out of canary, some did."""
    decided = [stage(0, "m@1", "live"), stage(1, "m@2", "shadow"), stage(2, "m@2", "rolled_back")]
    decided += [stage(3, "m@3", "canary"), stage(4, "m@3", "rolled_back")]
    assert [change.label for change in changes(decided)] == ["v1", "v3 rolled back"]


def test_hours_are_cut_where_more_than_a_day_is_missing() -> None:
    """A night without traffic does not begin a new stretch."""
    hours = [HourPoint(at=START + n * DAY / 24, prediction=1.0, truth=1.0, version=1) for n in (0, 1, 20, 45, 46)]
    assert [len(part) for part in stretches(hours)] == [3, 2]


def test_moments_are_drawn_in_utc() -> None:
    """The first moment of the span is at the left edge, its end at the right edge."""
    span = Window(START, START + 10 * DAY)
    assert (x_pixel(START, span), x_pixel(date(2012, 1, 6), span), x_pixel(span.end, span)) == (0, WIDTH / 2, WIDTH)
    assert millis(date(1970, 1, 2)) == 86_400_000


def test_the_error_picture_holds_all_that_it_claims() -> None:
    """Three lines with a point for each known day, a post for each change, and a name for each line."""
    story = bikes()
    rows = rows_of(error_picture(story))
    known = sum(d.kairos_loss is not None for d in story.days)
    assert sum("error" in row for row in rows) == 2 * len(story.days) + known
    assert {row["name"] for row in rows if "name" in row} == {"Kairos", "never retrain", "retrain weekly"}
    posts = {row["label"] for row in rows if "label" in row}
    assert posts == {"v1", "v2", "v4", "v6", "v8", "v10", "v12", "v9 rolled back"}


def test_a_bar_of_drift_reaches_back_to_the_measurement_before() -> None:
    """Measured once a week, the bars touch; after a gap, a bar is a week long; none begins before the span."""
    story = bikes()
    measured = (0, 2, 9, 16, 40)
    days = tuple(
        replace(d, drift=0.2 if n in measured else None, drift_column="humidity") for n, d in enumerate(story.days)
    )
    picture = drift_picture(replace(story, days=days))
    assert picture is not None
    first = millis(story.span.start)
    bars = [((r["at"] - first) / 86_400_000, (r["end"] - first) / 86_400_000) for r in rows_of(picture) if "psi" in r]
    assert bars == [(0, 1), (1, 3), (3, 10), (10, 17), (34, 41)]


def test_axes_say_their_unit() -> None:
    """Errors and answers are in the story's unit, drift is a population stability index."""
    story = bikes()
    assert "mean absolute error, users per hour" in draw(error_picture(story))
    assert "users per hour" in draw(stretch_pictures(story)[0])
    drift = drift_picture(story)
    assert drift is not None
    assert "population stability index (PSI)" in draw(drift)


def test_the_timeline_lists_versions_by_number() -> None:
    """``demand@10`` comes after ``demand@9``; what is about no version comes first."""
    picture = timeline_picture(bikes())
    assert picture is not None
    texts = [e.text or "" for e in ElementTree.fromstring(draw(picture)).iter(f"{SVG}text")]
    rows = [text for text in texts if text in ("finding", "retrain") or text.startswith("demand@")]
    assert rows == ["finding", "retrain", *(f"demand@{n}" for n in range(1, 13))]


def test_every_hour_is_in_the_scatter() -> None:
    """The cells' counts add up to the hours."""
    story = bikes()
    picture = scatter_picture(story)
    assert picture is not None
    assert sum(row.get("hours", 0) for row in rows_of(picture)) == len(story.hours)


def test_a_lone_square_keeps_its_size() -> None:
    """One version gives one square, not stretched to the width of the page; equal values are no error."""
    story = bikes()
    alone = replace(story, hours=tuple(replace(hour, version=1) for hour in story.hours))
    picture = scatter_picture(alone)
    assert picture is not None
    style = ElementTree.fromstring(draw(picture)).attrib["style"]
    assert 0 < int(style.partition("width:")[2].partition("px")[0]) < WIDTH / 2
    same = tuple(replace(hour, version=1, truth=-1.0, prediction=-1.0) for hour in story.hours)
    picture = scatter_picture(replace(story, hours=same))
    assert picture is not None
    assert sum(row.get("hours", 0) for row in rows_of(picture)) == len(same)


@pytest.mark.parametrize("make", [bikes, hostile])
def test_a_picture_names_itself(make: Callable[[], Story]) -> None:
    """Each has a title and a description, and says that they belong to it."""
    for root in drawings(make):
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert description is not None
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], description.attrib["id"]]
        assert title.text
        assert description.text


@pytest.mark.parametrize("make", [bikes, hostile])
def test_a_picture_asks_for_nothing(make: Callable[[], Story]) -> None:
    """It holds shapes and text only, and refers to nothing but its own parts."""
    for root in drawings(make):
        assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {
            "svg", "g", "path", "line", "text", "tspan", "title", "desc", "defs", "clipPath", "rect", "circle"
        }  # fmt: skip
        assert not [key for e in root.iter() for key in e.attrib if key.startswith("on") or "href" in key]
        references = {r for e in root.iter() for v in e.attrib.values() for r in re.findall(r"url\(([^)]*)\)", v)}
        assert references <= {f"#{e.attrib['id']}" for e in root.iter() if "id" in e.attrib}


def test_a_picture_follows_the_page_s_colours() -> None:
    """Nothing is painted in a colour that stays the same on dark paper."""
    for root in drawings(bikes):
        painted = {e.attrib[key] for e in root.iter() for key in ("fill", "stroke") if key in e.attrib}
        assert painted <= {"none", "transparent", *(f"var(--{colour.name})" for colour in COLOURS)}


def test_a_picture_does_not_depend_on_what_was_drawn_before() -> None:
    """Drawing something else in between changes no byte."""
    picture = error_picture(bikes())
    first = draw(picture)
    draw(error_picture(hostile()))
    assert draw(picture) == first


def test_a_picture_that_stands_alone_brings_its_colours_and_its_size() -> None:
    """A README shows it as a file: no page gives it variables."""
    alone = draw_alone(error_picture(bikes()))
    root = ElementTree.fromstring(alone)
    assert {"width", "height", "viewBox"} <= root.attrib.keys()
    assert all(f"--{name}:" in alone for name in re.findall(r"var\(--(\w+)\)", alone))


def test_a_story_without_events_has_an_empty_error_picture_and_no_others() -> None:
    """Nothing measured is nothing drawn, not an error."""
    assert [picture.name for picture in pictures(empty())] == ["error"]
    ElementTree.fromstring(draw(error_picture(empty())))


def test_a_perfect_model_can_be_drawn() -> None:
    """Errors and drift of zero are no division by zero."""
    story = bikes()
    perfect = replace(
        story,
        days=tuple(replace(d, kairos_loss=0.0, never_loss=0.0, weekly_loss=0.0, drift=0.0) for d in story.days),
        hours=tuple(replace(hour, prediction=0.0, truth=0.0) for hour in story.hours),
    )
    for picture in pictures(perfect):
        ElementTree.fromstring(draw(picture))


@pytest.mark.parametrize("colour", [INK, SOFT, BLUE, ORANGE, GREEN, PURPLE], ids=lambda colour: str(colour.name))
def test_text_stands_out_from_the_paper(colour: Colour) -> None:
    """A contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), on light and on dark paper."""
    assert contrast(colour.light, PAPER.light) >= 4.5
    assert contrast(colour.dark, PAPER.dark) >= 4.5


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, as WCAG 2.2 defines it."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance, in [0, 1]."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
