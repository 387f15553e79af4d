"""A package of a network is opened and answers where there is no PyTorch; its file is numbers and names, and checked.

That package was made with PyTorch (``tests/networks/make_golden.py``), which is not among what these tests have.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.errors import PackageError
from kairos.models.network_file import read_network, write_network
from kairos.models.package import open_package
from kairos.models.recalibrated import recalibrated_package
from kairos.models.score import score_columns
from kairos.stats.recalibration import Recalibration
from tests.models.trainings import LEAKS, hours, to_pandas

GOLDEN = Path(__file__).parents[1] / "golden/network"
PACKAGE = GOLDEN / "package"
TABLE = hours().drop_nulls().head(100)
FILE = PACKAGE / "model.safetensors"


def test_the_compiled_form_answers_as_the_network_did() -> None:
    """To the seventh digit, as its proof says; PyTorch is not loaded, and neither is scikit-learn."""
    package = open_package(PACKAGE)
    answers = package.compiled_runner().predict(score_columns(package, TABLE))
    expected = np.array(json.loads((GOLDEN / "answers.json").read_text()))
    np.testing.assert_allclose(answers, expected, rtol=0.0, atol=1e-5 * np.abs(expected).max())
    assert answers.dtype == np.float64
    program = (
        "import sys, pathlib; from kairos.models.package import open_package;"
        "package = open_package(pathlib.Path(sys.argv[1]));"
        "row = package.spec.signature.parse_rows([package.example]);"
        "print(package.answering, package.runner().predict(row).shape);"
        "print({'torch', 'sklearn', 'skops', 'pandas', 'polars', 'mlflow', 'onnx', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, PACKAGE], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["compiled (1,)", "set()"]


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_the_native_form_says_what_to_install() -> None:
    """And that a server of compiled models needs less."""
    with pytest.raises(
        PackageError, match=r"'demand' needs PyTorch.*pip install 'kairos-ml\[torch\]'.*'kairos-ml\[compiled\]'"
    ):
        open_package(PACKAGE).native_runner()


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_it_is_put_right_without_pytorch(tmp_path: Path) -> None:
    """By whoever learns from late labels; the network's own file stays as it is."""
    base = open_package(PACKAGE)
    columns = score_columns(base, TABLE)
    answers = base.runner().predict(columns)
    recalibrated_package(
        tmp_path, base, Recalibration(level=3.0, slope=2.0), answers=answers,
        train_until=base.spec.train_until, lineage={},  # type: ignore[arg-type]
    )  # fmt: skip
    right = open_package(tmp_path)
    np.testing.assert_allclose(right.runner().predict(columns), 3.0 + 2.0 * answers)
    assert right.estimator().recalibration == Recalibration(level=3.0, slope=2.0)
    assert (tmp_path / "model.safetensors").read_bytes() == FILE.read_bytes()


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")  # MLflow's own code
def test_mlflow_loads_it_without_pytorch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``mlflow.pyfunc.load_model``, in a process with Kairos, as the requirements say."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    mlflow = pytest.importorskip("mlflow.pyfunc")
    frame = to_pandas(TABLE.drop("hour", "users", *LEAKS))
    answers = mlflow.load_model(str(PACKAGE)).predict(frame)
    np.testing.assert_allclose(answers, json.loads((GOLDEN / "answers.json").read_text()), rtol=1e-5)
    assert {"kairos-ml", "torch"} <= {
        line.split("==")[0] for line in (PACKAGE / "requirements.txt").read_text().split()
    }


def test_what_is_read_is_what_was_written() -> None:
    """To the byte: weights, operations and their arguments."""
    data = FILE.read_bytes()
    assert write_network(read_network(data)) == data


def test_the_header_is_that_of_safetensors() -> None:
    """Its length, JSON, then the weights without holes, each at a multiple of its size."""
    data = FILE.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    assert (8 + size) % 64 == 0
    places = sorted(entry["data_offsets"] for name, entry in header.items() if name != "__metadata__")
    assert places[0][0] == 0
    assert [start for start, _ in places[1:]] == [end for _, end in places[:-1]]
    assert places[-1][1] == len(data) - 8 - size
    assert "hours.weight" in header


def forged(change: Any) -> bytes:
    """The golden file with another header."""
    data = FILE.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header)
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data[8 + size :]


def enlarged(header: Any) -> None:
    """One weight ends behind the file."""
    header["hours.weight"]["data_offsets"][1] += 10**9


def reshaped(header: Any) -> None:
    """One weight has more numbers than bytes."""
    header["hours.weight"]["shape"] = [1000, 1000]


def negative(header: Any) -> None:
    """One weight begins before the file."""
    header["hours.weight"].update(shape=[-1, 4], data_offsets=[16, 0])


def later(header: Any) -> None:
    """A version that is not known yet."""
    plan = json.loads(header["__metadata__"]["kairos.network"])
    header["__metadata__"]["kairos.network"] = json.dumps({**plan, "format": 3})


def unknown(header: Any) -> None:
    """An argument of another kind."""
    plan = json.loads(header["__metadata__"]["kairos.network"])
    plan["operations"][0][2] = [{"module": "os"}]
    header["__metadata__"]["kairos.network"] = json.dumps(plan)


BROKEN = {
    **{change.__name__: forged(change) for change in (enlarged, reshaped, negative, later, unknown)},
    "nothing": b"", "short": b"\x10", "no json": struct.pack("<Q", 4) + b"{{{{",
    "too long a header": struct.pack("<Q", 2**60) + b"{}", "not ours": struct.pack("<Q", 2) + b"{}",
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_another_file_is_refused_by_name(case: str) -> None:
    """Before a number of it is believed."""
    with pytest.raises(PackageError, match=r"'model\.safetensors' of a model package cannot be read") as caught:
        read_network(BROKEN[case])
    assert caught.value.facts["file"] == "model.safetensors"


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    """Whichever form would be loaded: not only that which is loaded from it."""
    for name in ("model.safetensors", "kairos/compiled.onnx"):
        folder = Path(shutil.copytree(PACKAGE, tmp_path / name))
        data = bytearray((PACKAGE / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        for form in ("native_runner", "runner"):
            with pytest.raises(PackageError, match=f"{name!r} of a model package is not as it was written"):
                getattr(open_package(folder), form)()
