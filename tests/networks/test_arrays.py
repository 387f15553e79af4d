"""Networks of arrays: a column of images is the tensor that a network was trained on; beside numbers a matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from kairos.errors import PackageError
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.score import named_answers, score_table
from tests.models.trainings import Request

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, size=(80, 1, 8, 8)).astype(np.uint8)
KINDS = ["cat" if each > 127 else "dog" for each in PICTURES.reshape(80, -1).mean(axis=1)]


def convolutions(numbers: int) -> torch.nn.Module:
    """A small network of images, of shape (n, 1, 8, 8)."""
    torch.manual_seed(0)
    layers: list[Any] = [
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(64, numbers),
    ]
    return torch.nn.Sequential(*layers, *([torch.nn.Softmax(dim=1)] if numbers > 1 else []))


def finished(folder: Path, model: Any, table: pl.DataFrame, loss: str) -> Package:
    made = FinishModel(settings={"demand": ModelOptions(loss=loss, target="kind")})(
        Request(returned=model, inputs={"train": table}, workdir=folder, target="kind")
    )
    return open_package(made)


def asked(model: torch.nn.Module) -> np.ndarray[Any, Any]:
    """What the network itself says of the images."""
    with torch.inference_mode():
        return np.asarray(model(torch.from_numpy(PICTURES.astype(np.float32))).numpy(), dtype=np.float64)


@pytest.mark.parametrize("numbers", [1, 2])
def test_a_network_of_images_gets_the_tensor_it_was_trained_on(tmp_path: Path, numbers: int) -> None:
    """Its compiled form as well; without code in the package."""
    model = convolutions(numbers)
    target: Any = KINDS if numbers > 1 else np.arange(80.0)
    table = pl.DataFrame({"picture": pl.Series(PICTURES), "kind": target})
    package = finished(tmp_path, model, table, "log_loss" if numbers > 1 else "squared_error")
    [column] = package.spec.signature.columns
    assert (column.shape, column.is_whole, package.spec.serialization) == ((1, 8, 8), True, "torch")
    assert package.compilation.is_proven, package.compilation.why
    expected = asked(model) if numbers > 1 else asked(model)[:, 0]
    rows = package.spec.signature.parse_rows([{"picture": each.tolist()} for each in PICTURES])
    np.testing.assert_allclose(package.native_runner().predict(rows), expected, rtol=1e-4)
    np.testing.assert_allclose(package.runner().predict(rows), expected, rtol=1e-4)
    np.testing.assert_allclose(score_table(package, table), expected, rtol=1e-4)
    if numbers > 1:
        assert list(named_answers(package, expected)) == ["kind", "kind.cat", "kind.dog"]


def test_a_vector_beside_numbers_is_a_part_of_the_matrix(tmp_path: Path) -> None:
    """In the order of the table: the numbers of the vector, then the others."""
    torch.manual_seed(0)
    model = torch.nn.Linear(6, 1)
    vectors, age = RANDOM.normal(size=(80, 5)), np.arange(80.0)
    table = pl.DataFrame({"vector": pl.Series(vectors), "age": age, "kind": age})
    package = finished(tmp_path, model, table.with_columns(kind=pl.col("age").shuffle(1)), "squared_error")
    with torch.inference_mode():
        expected = model(torch.from_numpy(np.column_stack([vectors, age]).astype(np.float32))).numpy()[:, 0]
    np.testing.assert_allclose(score_table(package, table), expected, rtol=1e-4, atol=1e-4)
    assert package.compilation.is_proven, package.compilation.why


def test_a_network_of_another_shape_is_refused(tmp_path: Path) -> None:
    """What it takes is said."""
    table = pl.DataFrame({"picture": pl.Series(PICTURES[:, :, :4]), "kind": np.arange(80.0)})
    with pytest.raises(PackageError, match=r"cannot be traced.*\(rows, \*shape\) of a single column of arrays"):
        finished(tmp_path, convolutions(1), table, "squared_error")
