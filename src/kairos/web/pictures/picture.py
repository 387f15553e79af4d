"""What a picture is, and what all pictures have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import altair as alt

from kairos.values import Window
from kairos.web.palette import GRID, INK, SOFT
from kairos.web.words import clean

__all__ = ["LABEL_SIZE", "WIDTH", "Picture", "data", "millis", "text_width", "time_axis", "x_pixel"]

WIDTH = 860
"""Pixels of the plot itself; labels come on top."""

LABEL_SIZE = 12
"""Pixels."""

_CONFIG: dict[str, Any] = {
    "background": None,
    "padding": {"left": 8, "right": 20, "top": 5, "bottom": 5},
    "font": "sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "gridColor": GRID.light,
        "domain": False,
        "ticks": False,
        "labelColor": SOFT.light,
        "labelFontSize": LABEL_SIZE,
        "labelPadding": 6,
        "titleColor": SOFT.light,
        "titleFontSize": LABEL_SIZE,
        "titleFontWeight": "normal",
    },
    "axisY": {"titlePadding": 12, "titleLimit": 300},
    "axisX": {"grid": False, "ticks": True, "tickColor": GRID.light},
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK.light,
        "labelFontSize": LABEL_SIZE,
        "labelLimit": 0,
        "symbolStrokeWidth": 2,
        "symbolOpacity": 1,
        "columnPadding": 34,
        "titleOrient": "left",
        "titleColor": SOFT.light,
        "titleFontSize": LABEL_SIZE,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "layout": {"top": {"margin": 36}},
    },
    "text": {"color": INK.light, "fontSize": LABEL_SIZE},
    "title": {"color": INK.light, "fontSize": 14, "anchor": "start", "offset": 12, "subtitleColor": SOFT.light},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A chart, with what has to be said to those who do not see it."""

    name: str
    """Of lower-case letters, digits and hyphens; unique on its page."""
    title: str
    description: str
    """The main thing to be seen in it, in words."""
    chart: Any
    """An altair chart without top-level configuration."""

    def specification(self, *, with_title: bool = False) -> dict[str, Any]:
        """Vega-Lite, complete with the data."""
        chart = self.chart.properties(title=self.title) if with_title else self.chart
        spec: dict[str, Any] = _clean(chart.to_dict())
        return {**spec, "config": _CONFIG}


def data(rows: Iterable[Mapping[str, Any]]) -> Any:
    """Rows as the data of a chart; moments have to be numbers, see ``millis``."""
    return alt.InlineData(values=[dict(row) for row in rows])


def millis(moment: date | datetime) -> int:
    """Milliseconds since 1970, in UTC, which no viewer's time zone shifts; a date is its first moment."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def time_axis(span: Window, *, field: str = "at", axis: Any = None) -> Any:
    """The horizontal channel for moments in milliseconds, from the first to the last moment of the span."""
    scale = alt.Scale(type="utc", domain=[millis(span.start), millis(span.end)], nice=False)
    return alt.X(f"{field}:T", scale=scale, axis=axis or (_MONTHS if span.days > 100 else _DAYS))


_YEAR = "datum.index === 0 || utcmonth(datum.value) === 0 ? utcFormat(datum.value, '%Y') : ''"
_MONTHS = alt.Axis(
    title=None, tickCount="month", labelExpr=f"[utcFormat(datum.value, '%b'), {_YEAR}]", labelFlush=False
)
_DAYS = alt.Axis(title=None, format="%-d %b %Y", tickCount=6, labelFlush=False)


def x_pixel(moment: date | datetime, span: Window) -> float:
    """Where ``time_axis`` puts a moment."""
    start, end = millis(span.start), millis(span.end)
    return (millis(moment) - start) / max(end - start, 1) * WIDTH


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def text_width(text: str) -> float:
    """Pixels that a label takes at most, about."""
    return 7.2 * len(text)
