"""``[data.ARTIFACT]``: what a project asks of an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from kairos.app.toml import Reader
from kairos.errors import SettingsError, did_you_mean
from kairos.pipeline.data_checks.values import CHECK_NAMES, CheckName, DataChecks

__all__ = ["read_data_checks"]


def read_data_checks(readers: Mapping[str, Reader]) -> dict[str, DataChecks]:
    """Reads every ``[data.ARTIFACT]``; a field of a step is ``[data."split.train"]``.

    Raises:
        SettingsError: a key or value is not accepted; it is named.
    """
    return {name: _one(name, reader) for name, reader in readers.items()}


def _one(name: str, reader: Reader) -> DataChecks:
    warn = reader.texts("warn")
    for word in warn:
        if word not in CHECK_NAMES:
            raise SettingsError(
                f"kairos.toml: {reader.name('warn')} names no check.",
                given=word,
                accepted=", ".join(CHECK_NAMES),
                hint=did_you_mean(word, CHECK_NAMES),
            )
    found = DataChecks(
        artifact=name,
        time=reader.optional_text("time"),
        fresh=reader.optional_length("fresh"),
        rows=reader.optional_whole("rows"),
        volume=_share(reader, "volume"),
        unique=reader.texts("unique"),
        distance=reader.optional_number("distance"),
        columns=reader.texts("columns"),
        reference=reader.optional_text("reference"),
        warn=cast("tuple[CheckName, ...]", warn),
    )
    reader.done()
    if (found.fresh is None) != (found.time is None):
        raise SettingsError(f"kairos.toml: {reader.path} needs both fresh and time, or neither.", hint='time = "hour"')
    if found.distance is not None and not 0 < found.distance < 0.83:
        raise SettingsError(
            f"kairos.toml: {reader.name('distance')} is no distance.",
            given=found.distance,
            accepted="above 0, below 0.83",
        )
    if found.distance is None and (found.columns or found.reference):
        raise SettingsError(f"kairos.toml: {reader.path} has columns or a reference, and no distance.")
    return found


def _share(reader: Reader, key: str) -> float | None:
    text = reader.optional_text(key)
    if text is None:
        return None
    number = text.strip().removesuffix("%").strip()
    if not text.strip().endswith("%") or not number.replace(".", "", 1).isdecimal():
        raise SettingsError(f"kairos.toml: {reader.name(key)} is no share.", given=text, accepted="as in '50%'")
    return float(number) / 100
