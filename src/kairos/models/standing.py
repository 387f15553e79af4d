"""Where one value of an input stands in what a model was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kairos.models.profile import ColumnProfile
from kairos.stats.bins import NumberBins

__all__ = ["standing"]


def standing(profile: ColumnProfile, value: object) -> str:
    """Says so in words: between which quantiles, how many rows had the level, or that it is outside the range.

    >>> profile = ColumnProfile(kind="category", levels=("a", "b"), counts=(6, 3, 0, 1), missing=1)
    >>> standing(profile, "b")
    'level of 3 of 10 rows'
    """
    rows, bins = sum(profile.counts), profile.bins
    if isinstance(value, list) and not np.size(value):
        return "an empty array"
    if isinstance(value, list):
        return f"its mean is {standing(replace(profile, kind='number'), float(np.mean(value)))}"
    if value is None or value != value:
        return f"missing, as in {profile.missing} of {rows} rows"
    if profile.kind == "text":
        return "text, of which no value is kept"
    if not isinstance(bins, NumberBins):
        if profile.kind in ("number", "integer"):
            return "missing in every row"
        level = str(value).lower() if isinstance(value, bool) else str(value)
        if level in profile.levels:
            return f"level of {profile.counts[profile.levels.index(level)]} of {rows} rows"
        return f"another level than the {len(profile.levels)} kept; {profile.counts[-2]} of {rows} rows have others"
    place = int(bins.counts([float(str(value))]).argmax())
    low, high = profile.edges[0], profile.edges[-1]
    if place in (0, len(profile.edges)):
        return f"{'below' if place == 0 else 'above'} the range {low:g} to {high:g}"
    there = sum(profile.counts[1:-2])
    before = sum(profile.counts[1:place])
    return f"between quantiles {before / there:.2f} and {(before + profile.counts[place]) / there:.2f}"
