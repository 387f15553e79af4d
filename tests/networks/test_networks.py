"""A network of PyTorch is packaged without pickle, answers as it did, and needs no PyTorch where its proof holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from kairos.errors import PackageError
from kairos.models.finish import ModelOptions
from kairos.models.network import NetworkModel
from kairos.models.network_file import Named, Operation, Ref, read_network, write_network
from kairos.models.package import open_package
from kairos.models.recalibrated import recalibrated_package
from kairos.models.score import score_columns
from kairos.stats.recalibration import Recalibration
from tests.models.trainings import OPTIONS, finish, finished, hours, seasons
from tests.networks.modules import KINDS, TABLE, Doing, layers, made

GOLDEN = Path(__file__).parents[1] / "golden/network"
CHANCES = ModelOptions(time="hour", loss="log_loss")
BUSY = TABLE.with_columns(users=(pl.col("users") > 80).cast(pl.Int64))


def own_answers(network: Any, package: Any, table: Any) -> np.ndarray[Any, Any]:
    """What the network itself says, asked as people ask it."""
    columns = score_columns(package, table)
    dtype = next(iter(network.parameters())).dtype
    matrix = torch.tensor(np.column_stack([columns[name].astype(float) for name in package.spec.signature.names]))
    with torch.inference_mode():
        return np.ravel(network.eval()(matrix.to(dtype)).numpy()).astype(np.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_both_forms_answer_as_the_network_does(tmp_path: Path, kind: str) -> None:
    """In float32, whose sums another order changes in the seventh digit; the compiled form is proven."""
    package = finished(tmp_path, made(kind), train=TABLE)
    assert package.compilation.is_proven, package.compilation.why
    assert (package.spec.serialization, package.spec.form.kind, package.answering) == ("torch", "matrix", "compiled")
    expected = own_answers(made(kind), package, TABLE)
    columns = score_columns(package, TABLE)
    for runner in (package.native_runner(), package.compiled_runner()):
        np.testing.assert_allclose(runner.predict(columns), expected, rtol=0.0, atol=1e-5 * np.abs(expected).max())


def test_equal_networks_give_the_same_bytes(tmp_path: Path) -> None:
    """In every file; nothing tells the lines of source, or the folder, that the network came from."""
    one, two = (finish(tmp_path / name, made("embedded"), train=TABLE) for name in ("one", "two"))
    assert (one / "kairos/files.json").read_bytes() == (two / "kairos/files.json").read_bytes()
    for path in one.rglob("*"):
        assert path.is_dir() or b"modules.py" not in path.read_bytes(), path


def test_the_network_itself_is_left_as_it_was(tmp_path: Path) -> None:
    """In training mode, if it was; the package has it in the mode in which it predicts."""
    network = made("embedded")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    finish(tmp_path, network, train=TABLE)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_weights_are_read_by_their_own_names(tmp_path: Path) -> None:
    """The file is one of safetensors, to whoever reads those."""
    file = read_network((finish(tmp_path, layers(), train=TABLE) / "model.safetensors").read_bytes())
    assert sorted(file.weights) == ["0.bias", "0.weight", "2.bias", "2.weight", "4.bias", "4.weight"]
    assert (file.weights["0.weight"].dtype, file.weights["0.weight"].shape) == ("F32", (32, 4))


@pytest.mark.parametrize("loss", ["log_loss", "pinball:0.1,0.5,0.9"])
def test_a_network_gives_a_number_for_each_class_or_quantile(tmp_path: Path, loss: str) -> None:
    """In both forms, of which the proof is about all numbers; chances that do not add up to 1 are refused."""
    words = pl.when(pl.col("users") < 50).then(pl.lit("a")).when(pl.col("users") < 90).then(pl.lit("b"))
    table = TABLE if loss != "log_loss" else TABLE.with_columns(users=words.otherwise(pl.lit("c")))
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    options = ModelOptions(time="hour", loss=loss)
    if loss == "log_loss":
        with pytest.raises(PackageError, match=r"what is no chance.*Softmax"):
            finish(tmp_path / "no", network, options, train=table)
        network = torch.nn.Sequential(network, torch.nn.Softmax(dim=1))
    package = finished(tmp_path / "yes", network, options, train=table)
    assert package.compilation.is_proven, package.compilation.why
    expected = own_answers(network, package, table).reshape(-1, 3)
    columns = score_columns(package, table)
    for runner in (package.native_runner(), package.compiled_runner()):
        np.testing.assert_allclose(runner.predict(columns), expected, rtol=0.0, atol=1e-5 * np.abs(expected).max())
    with pytest.raises(PackageError, match="has to give 3 numbers a row"):
        finish(tmp_path / "two", Doing(lambda self, m: m[:, :2]), options, train=table)


def test_chances_of_two_classes(tmp_path: Path) -> None:
    """The network ends in the chance of the class 1; what is no chance is refused, with what to type."""
    package = finished(tmp_path / "yes", torch.nn.Sequential(made("layers"), torch.nn.Sigmoid()), CHANCES, train=BUSY)
    answers = package.runner().predict(score_columns(package, BUSY))
    assert package.compilation.is_proven, package.compilation.why
    assert ((answers > 0) & (answers < 1)).all()
    with pytest.raises(PackageError, match=r"what is no chance.*Sigmoid"):
        finish(tmp_path / "no", Doing(lambda self, m: m[:, 0]), CHANCES, train=BUSY)


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "text": (lambda self, m: m[:, 0], seasons(), r"takes numbers only.*season.*drop=\['season'\]"),
    "two numbers": (lambda self, m: m[:, :2], TABLE, r"one number a row.*shape \(\d+, 2\)"),
    "a branch": (lambda self, m: m[:, 0] if m[0, 0] > 0 else m[:, 1], TABLE, "cannot be traced"),
    "neighbours": (lambda self, m: m[:, 1] - m[:, 1].mean(), TABLE, r"otherwise beside other rows.*alone"),
    "the last row": (lambda self, m: m[:, 1] + 0 * m[:1, 1] + m.flip(0)[:1, 1], TABLE, "otherwise beside other rows"),
    "chance": (lambda self, m: torch.nn.functional.dropout(m[:, 1], 0.5, True), TABLE, r"leaves something to chance"),
    "memory": (lambda self, m: m[:, 1] + self.seen.add_(1), TABLE, "changes its own buffers"),
    "missing": (lambda self, m: m[:, 1], hours(), "no number.*nan for row .*where weather is missing"),
    "nothing": (lambda self, m: None, TABLE, "cannot be traced.*one float tensor"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_model_of_rows_is_refused(tmp_path: Path, case: str) -> None:
    """Before anything is written, in words that say why."""
    do, table, words = REFUSED[case]
    with pytest.raises(PackageError, match=words):
        finish(tmp_path, Doing(do), replace(OPTIONS, time=None) if case == "text" else OPTIONS, train=table)
    assert not (tmp_path / "package").exists()


FORGED = [
    Operation(result="%y", function="aten.from_file.default", args=("/etc/passwd",), options={}),
    Operation(result="%y", function="torch.os.system", args=("true",), options={}),
    Operation(result="%y", function="aten.__class__.mro", options={}),
    Operation(result="%y", function="aten.resize_.default", args=(Ref("%X"), [1]), options={}),
    Operation(result="%y", function="aten.rand.default", args=([3],), options={}),
    Operation(result="%y", function="aten.relu.default", args=(Named("dtype", "load"),), options={}),
]


@pytest.mark.parametrize("operation", FORGED, ids=lambda operation: operation.function)
def test_a_forged_file_runs_nothing_but_operations_of_the_core_set(operation: Operation) -> None:
    """No function of a name, no file, no change of what it is given."""
    golden = read_network((GOLDEN / "package/model.safetensors").read_bytes())
    with pytest.raises(PackageError, match="A network cannot be packaged"):
        NetworkModel(write_network(replace(golden, operations=(operation,), answer="%y")))


def test_packages_of_older_versions_are_read(tmp_path: Path) -> None:
    """The golden one answers as it did when it was made."""
    package = open_package(GOLDEN / "package")
    answers = package.native_runner().predict(score_columns(package, TABLE.head(100)))
    np.testing.assert_allclose(answers, json.loads((GOLDEN / "answers.json").read_text()), rtol=1e-6)


def test_a_network_that_is_put_right(tmp_path: Path) -> None:
    """Keeps both forms, and the line stays beside them."""
    base = finished(tmp_path / "made", made("layers"), train=TABLE)
    columns = score_columns(base, TABLE)
    answers = base.runner().predict(columns)
    line = Recalibration(level=3.0, slope=2.0)
    recalibrated_package(
        tmp_path / "right", base, line, answers=answers, train_until=base.spec.train_until, lineage={}  # type: ignore[arg-type]
    )  # fmt: skip
    right = open_package(tmp_path / "right")
    for runner in (right.native_runner(), right.compiled_runner()):
        np.testing.assert_allclose(runner.predict(columns), 3.0 + 2.0 * answers, rtol=1e-5)
    assert right.estimator().recalibration == line


def test_the_native_form_loads_no_frames_and_asks_one_thread() -> None:
    """Nor scikit-learn, nor MLflow; whoever asks keeps the threads that he has set for himself."""
    program = """
import os, pathlib, sys, threading, time
import torch
from kairos.models.package import open_package
package = open_package(pathlib.Path(sys.argv[1]))
runner = package.native_runner()
columns = {k: v.repeat(20000) for k, v in package.spec.signature.parse_rows([package.example]).items()}
runner.predict(columns)
wall, used = time.perf_counter(), time.process_time()
for _ in range(5):
    runner.predict(columns)
share = (time.process_time() - used) / (time.perf_counter() - wall)
heavy = {"sklearn", "skops", "pandas", "polars", "mlflow", "onnx"}
print(share < 1.2, torch.get_num_threads() > 1, heavy & set(sys.modules))
"""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", program, GOLDEN / "package"],
        check=True, capture_output=True, text=True, env={**environment, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert done.stdout.strip() == "True True set()"


def test_without_its_exporter_a_network_answers_natively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the package says what to install."""
    monkeypatch.setattr("kairos.models.network_trace.find_spec", lambda name: None)
    package = finished(tmp_path, made("layers"), train=TABLE)
    assert package.answering == "native"
    assert "pip install 'kairos-ml[torch]'" in str(package.compilation.why)


def test_large_weights_are_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the native form as by the compiled one: workers of one machine hold them once."""
    monkeypatch.setattr("kairos.models.native.LARGE_BYTES", 1)
    monkeypatch.setattr("kairos.models.compiling.apart.LARGE_BYTES", 1)
    monkeypatch.setattr("kairos.models.onnx_session.LARGE_BYTES", 1)
    package = finished(tmp_path, made("layers"), train=TABLE)
    columns = score_columns(package, TABLE)
    runners = (package.native_runner(), package.compiled_runner())
    maps = Path("/proc/self/maps").read_text()
    for name in ("model.safetensors", "kairos/compiled.weights"):
        assert str(tmp_path / "package" / name) in maps
    native, compiled = (runner.predict(columns) for runner in runners)
    np.testing.assert_allclose(compiled, native, rtol=0.0, atol=1e-5 * np.abs(native).max())
