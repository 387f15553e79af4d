"""Rows of a table in the order of their time, whatever kind of time the table has."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from kairos.app.losses import moments
from kairos.errors import DataRefused
from kairos.values import Window

__all__ = ["TimedRows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRows:
    """Rows as they were given, the earliest first, each with its moment."""

    rows: pl.DataFrame
    """All columns, the time as well, as the table has them."""
    at: pl.Series
    """Aware UTC, in microseconds, one a row, rising."""

    @classmethod
    def of(cls, rows: pl.DataFrame, column: str) -> TimedRows:
        """Reads the time column and sorts by it; rows without a time are left out, equal times keep their order.

        Args:
            rows: Any table.
            column: Name of its time column: dates, times, or text; a time without a zone is UTC.

        Raises:
            DataRefused: the column holds something that is no time.
        """
        dtype = rows.schema[column]
        try:
            if dtype != pl.String and dtype not in (pl.Date, pl.Datetime):
                raise pl.exceptions.InvalidOperationError(str(dtype))
            at = rows.select(moments(column, dtype)).to_series()
        except pl.exceptions.PolarsError as error:
            raise DataRefused(
                f"The time column {column!r} of the rows to send holds something that is no time.",
                given=str(error).partition("\n")[0],
                accepted="dates, times, or text such as '2012-03-03T14:00Z'",
            ) from error
        place = pl.int_range(len(rows), eager=True)
        order = pl.DataFrame({"at": at, "place": place}).drop_nulls().sort("at", "place")
        return cls(rows=rows[order["place"]], at=order["at"])

    def within(self, window: Window) -> TimedRows:
        """Those whose time lies in the window: its start belongs to it, its end does not."""
        first, last = (int(self.at.search_sorted(edge, side="left")) for edge in (window.start, window.end))
        return TimedRows(rows=self.rows[first:last], at=self.at[first:last])
