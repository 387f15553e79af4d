"""``[model.NAME.gate]``."""

from __future__ import annotations

from typing import Literal, cast

from kairos.app.settings.margins import read_margin
from kairos.app.toml import Reader
from kairos.gates.policy import GatePolicy

__all__ = ["read_gate"]


def read_gate(reader: Reader, loss: str, slices: tuple[str, ...]) -> GatePolicy:
    """What the project asks of a challenger before production."""
    default = GatePolicy(loss=loss)
    policy = GatePolicy(
        loss=loss,
        slices=slices,
        alpha=reader.number("alpha", default.alpha),
        margin=read_margin(reader, "margin", default.margin),
        require=cast(
            "Literal['superior', 'non_inferior']",
            reader.choice("require", ("superior", "non_inferior"), default.require),
        ),
        min_rows=reader.whole("min_rows", default.min_rows),
        floor=reader.optional_number("floor"),
    )
    reader.done()
    return policy
