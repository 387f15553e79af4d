"""Networks of arrays that differ in length: rows of one length are asked together, and nothing is filled up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from kairos.errors import InputRefused, PackageError
from kairos.models.arrays import FREE
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.score import score_table
from tests.models.trainings import Request

RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(4, 12, 60).tolist()
TOKENS = [RANDOM.integers(0, 30, length).tolist() for length in LENGTHS]
SERIES = [RANDOM.normal(size=(length, 3)).tolist() for length in LENGTHS]
USERS = RANDOM.normal(size=60)


class Words(torch.nn.Module):  # type: ignore[misc]  # PyTorch is not there where types are checked
    """The mean of the embeddings of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.line = torch.nn.Embedding(30, 6), torch.nn.Linear(6, 1)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Of shape (rows, tokens); a network is given doubles or floats."""
        return self.line(self.table(tokens.long()).mean(dim=1))


class Steps(torch.nn.Module):  # type: ignore[misc]  # PyTorch is not there where types are checked
    """Attention along the moments of a series, two steps ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = torch.nn.Linear(3, 8)
        self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.line = torch.nn.Linear(8, 2)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Of shape (rows, moments, 3)."""
        return self.line(self.layer(self.wide(series))[:, -1])


class Recurrent(torch.nn.Module):  # type: ignore[misc]  # PyTorch is not there where types are checked
    """A layer that the tracer unrolls moment by moment."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.line = torch.nn.LSTM(3, 5, batch_first=True), torch.nn.Linear(5, 1)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Of shape (rows, moments, 3)."""
        return self.line(self.memory(series)[0][:, -1])


class Windows(torch.nn.Module):  # type: ignore[misc]  # PyTorch is not there where types are checked
    """A convolution over three moments at a time: it cannot answer for fewer."""

    def __init__(self) -> None:
        super().__init__()
        self.filter, self.line = torch.nn.Conv1d(3, 4, 3), torch.nn.Linear(4, 1)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Of shape (rows, moments, 3)."""
        return self.line(torch.relu(self.filter(series.transpose(1, 2))).amax(dim=2))


def finished(folder: Path, model: Any, table: pl.DataFrame, targets: tuple[str, ...] = ("users",)) -> Package:
    """Packaged and opened, without leave for code."""
    several = targets if len(targets) > 1 else ()
    options = ModelOptions(loss="squared_error", target=targets[0], targets=several)
    made = FinishModel(settings={"demand": options})(
        Request(returned=model, inputs={"train": table}, workdir=folder, targets=several)
    )
    return open_package(made)


def asked(model: torch.nn.Module, cells: list[Any]) -> np.ndarray[Any, Any]:
    """What the network itself says of each row alone."""
    with torch.inference_mode():
        each = [model(torch.tensor([cell], dtype=torch.float32)).numpy()[0] for cell in cells]
    return np.array(each, dtype=np.float64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_a_network_of_tokens_answers_for_any_number_of_them(tmp_path: Path) -> None:
    """Also the compiled form, which is proven, and in a process without PyTorch."""
    model = Words()
    table = pl.DataFrame({"tokens": TOKENS, "users": USERS})
    package = finished(tmp_path, model, table)
    [column] = package.spec.signature.columns
    assert (column.shape, column.is_whole, column.taken) == ((FREE,), True, ((1, 1000),))
    assert package.compilation.is_proven, package.compilation.why
    expected = asked(model, TOKENS)[:, 0]
    rows = package.spec.signature.parse_rows([{"tokens": cell} for cell in TOKENS])
    for answers in (package.native_runner().predict(rows), package.runner().predict(rows), score_table(package, table)):
        np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-6)
    long = [RANDOM.integers(0, 30, 900).tolist()]
    one = package.spec.signature.parse_rows([{"tokens": long[0]}])
    np.testing.assert_allclose(package.runner().predict(one), asked(model, long)[:, 0], rtol=1e-4, atol=1e-6)
    with pytest.raises(InputRefused, match=r"shape \[1 to 1000\]"):
        package.spec.signature.parse_rows([{"tokens": [1] * 1001}])
    program = (
        "import sys, pathlib; from kairos.models.package import open_package;"
        "package = open_package(pathlib.Path(sys.argv[1]));"
        "rows = package.spec.signature.parse_rows([{'tokens': [1, 2, 3]}, {'tokens': [4]}]);"
        "print(package.answering, package.runner().predict(rows).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "package"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "compiled (2,) False"


def test_a_forecast_of_several_steps_from_a_series_of_any_length(tmp_path: Path) -> None:
    """Several numbers a row, in the order of the rows however they are grouped."""
    model = Steps().eval()
    table = pl.DataFrame({"series": SERIES, "h1": USERS, "h2": USERS[::-1].copy()})
    package = finished(tmp_path, model, table, ("h1", "h2"))
    expected = asked(model, SERIES)
    np.testing.assert_allclose(score_table(package, table), expected, rtol=1e-4, atol=1e-6)
    rows = package.spec.signature.parse_rows([{"series": cell} for cell in SERIES])
    np.testing.assert_allclose(package.native_runner().predict(rows), expected, rtol=1e-4, atol=1e-6)
    assert package.compilation.is_proven, package.compilation.why


def test_a_recurrent_layer_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """PyTorch's tracer knows it for one length only."""
    table = pl.DataFrame({"series": SERIES, "users": USERS})
    with pytest.raises(PackageError, match=r"cannot be traced for any length.*LSTM and GRU.*an object with predict"):
        finished(tmp_path, Recurrent(), table)


def test_a_network_that_cannot_answer_for_short_ones_is_not_asked_about_them(tmp_path: Path) -> None:
    """What is accepted begins where training began; the compiled form is held to the same."""
    model = Windows()
    package = finished(tmp_path, model, pl.DataFrame({"series": SERIES, "users": USERS}))
    [column] = package.spec.signature.columns
    assert column.taken == ((min(LENGTHS), 1000), (3, 3))
    assert package.compilation.is_proven, package.compilation.why
    np.testing.assert_allclose(
        score_table(package, pl.DataFrame({"series": SERIES})), asked(model, SERIES)[:, 0], rtol=1e-4, atol=1e-6
    )


def test_beside_other_columns_they_are_refused(tmp_path: Path) -> None:
    """In words, with what to do; one length is the same network's usual case."""
    table = pl.DataFrame({"tokens": TOKENS, "age": USERS, "users": USERS[::-1].copy()})
    with pytest.raises(PackageError, match=r"only by themselves.*tokens beside 1 other columns.*as channels"):
        finished(tmp_path / "a", Words(), table)
    shutil.rmtree(tmp_path / "a", ignore_errors=True)
    package = finished(tmp_path / "b", Words(), pl.DataFrame({"tokens": [TOKENS[0]] * 60, "users": USERS}))
    assert package.spec.signature.columns[0].shape == (len(TOKENS[0]),)
