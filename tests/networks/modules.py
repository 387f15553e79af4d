"""Networks of the kinds that people train on tables, with weights that a seed gives; training would say no more."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.models.trainings import hours

COLUMNS = 4
TABLE = hours().drop_nulls()
"""Whole numbers, a boolean and numbers; four features."""


def layers(width: int = COLUMNS) -> Any:
    """Fully connected."""
    return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 1))


class Embedded(nn.Module):  # type: ignore[misc]  # PyTorch is not there where types are checked
    """An hour of the day as a vector, normalised, in shape (n,); missing numbers are 0 to it."""

    def __init__(self) -> None:
        super().__init__()
        self.hours = nn.Embedding(24, 4)
        self.before = nn.BatchNorm1d(COLUMNS + 3)
        self.inner = nn.Linear(COLUMNS + 3, 16)
        self.after = nn.LayerNorm(16)
        self.last = nn.Linear(16, 1)
        self.dropped = nn.Dropout(0.3)
        self.register_buffer("scale", torch.tensor(10.0))

    def forward(self, matrix: Any) -> Any:
        """Counts."""
        hour = self.hours(matrix[:, 0].nan_to_num().long().clamp(0, 23))
        joined = torch.cat([hour, matrix[:, 1:].nan_to_num() / self.scale], dim=1)
        inner = self.dropped(nn.functional.gelu(self.inner(self.before(joined)), approximate="tanh"))
        return nn.functional.softplus(self.last(self.after(inner))).squeeze(-1)


class Attending(nn.Module):  # type: ignore[misc]
    """Columns as words."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(1, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.last = nn.Linear(16, 1)

    def forward(self, matrix: Any) -> Any:
        """Numbers."""
        return self.last(self.layer(self.first(matrix.unsqueeze(-1))).mean(1))


class Recurrent(nn.Module):  # type: ignore[misc]
    """Columns as a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(1, 8, batch_first=True)
        self.last = nn.Linear(8, 1)

    def forward(self, matrix: Any) -> Any:
        """Numbers."""
        return self.last(self.cells(matrix.unsqueeze(-1))[0][:, -1])


class Convolved(nn.Module):  # type: ignore[misc]
    """Columns as a line of pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 4, 3, padding=1)
        self.last = nn.Linear(4 * COLUMNS, 1)

    def forward(self, matrix: Any) -> Any:
        """Numbers."""
        return self.last(torch.relu(self.filters(matrix.unsqueeze(1))).flatten(1))


class Doing(nn.Module):  # type: ignore[misc]
    """Whatever a test says."""

    def __init__(self, do: Any) -> None:
        super().__init__()
        self.do = do
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, matrix: Any) -> Any:
        """What is done to the matrix."""
        return self.do(self, matrix)


KINDS: dict[str, Any] = {
    "layers": layers, "embedded": Embedded, "attending": Attending, "recurrent": Recurrent, "convolved": Convolved,
    "doubles": lambda: layers().double(),
}  # fmt: skip


def made(kind: str) -> Any:
    """A network of a kind, the same each time; left in training mode, as a careless step leaves it."""
    torch.manual_seed(0)
    return KINDS[kind]()
