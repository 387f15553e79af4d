"""Large weights of a compiled form lie in a file of their own, which processes map and do not copy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor

from kairos.app.packages import open_stored
from kairos.errors import BlobDamaged, PackageError
from kairos.models.compiled import COMPILED_FILE, CompiledRunner
from kairos.models.compiling.apart import apart
from kairos.models.package import Package, open_package
from kairos.models.recalibrated import recalibrated_package
from kairos.models.score import score_columns
from kairos.models.weights import LARGE_BYTES, WEIGHTS_FILE
from kairos.stats.recalibration import Recalibration
from kairos.store.blobs import Store
from tests.models.trainings import finish, finished, hours

TABLE = hours().drop_nulls().head(100)
NETWORK = MLPRegressor(
    hidden_layer_sizes=(1450, 1450), max_iter=4, tol=1e9, n_iter_no_change=1, random_state=0, batch_size=100
)
"""Its weights are 17 MB."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the network, not to be written to."""
    return finish(tmp_path_factory.mktemp("made"), NETWORK, train=TABLE)


def mapped(name: str) -> list[str]:
    """Lines of this process's memory that lie in a file of this name."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if name in line]


def answers(package: Package) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of the compiled form, to all rows."""
    return package.compiled_runner().predict(score_columns(package, TABLE))


def test_the_weights_lie_apart_and_are_mapped(folder: Path) -> None:
    """As ONNX's external data, so that other tools read them; nearly all of the form is in them."""
    assert (folder / WEIGHTS_FILE).stat().st_size > LARGE_BYTES
    assert (folder / COMPILED_FILE).stat().st_size < 200_000
    package = open_package(folder)
    runner = package.compiled_runner()
    assert mapped(str(folder / WEIGHTS_FILE))
    proof = package.compilation.proof
    assert proof is not None
    columns = score_columns(package, TABLE)
    difference = np.abs(runner.predict(columns) - package.native_runner().predict(columns)).max()
    assert difference == pytest.approx(proof.difference, abs=1e-3 * proof.tolerance)


def test_small_forms_stay_one_file(tmp_path: Path) -> None:
    """Nothing is gained by a page of weights."""
    small = MLPRegressor(hidden_layer_sizes=(8,), max_iter=4, tol=1e9, n_iter_no_change=1, random_state=0)
    package = finished(tmp_path, small, train=TABLE)
    assert package.compilation.is_proven
    assert WEIGHTS_FILE not in package.files
    assert apart(b"") == {}


def test_the_store_shares_its_blob(folder: Path, tmp_path: Path) -> None:
    """The blob has another name than the graph asks for; what stands in for it is gone once the model is loaded."""
    store = Store(tmp_path / "store")
    digest = store.put_folder(folder)
    before = sorted(path for path in store.root.rglob("*"))
    stored = open_stored(store, digest)
    np.testing.assert_array_equal(answers(stored), answers(open_package(folder)))
    assert sorted(path for path in store.root.rglob("*")) == before
    (line,) = {line.split()[4] for line in mapped("compiled.weights (deleted)")}
    blob = store.path(store.listing(digest)[WEIGHTS_FILE])
    assert int(line) == blob.stat().st_ino


def test_a_store_that_cannot_be_written_to_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The weights are copied then; the same where a package does not lie in files at all."""

    def refused(*args: object, **options: object) -> str:
        raise PermissionError("read-only file system")

    blob = tmp_path / "blob"
    os.link(folder / WEIGHTS_FILE, blob)
    package, expected = open_package(folder), answers(open_package(folder))
    spec, graph = package.spec, package.read(COMPILED_FILE)
    monkeypatch.setattr("tempfile.mkdtemp", refused)
    monkeypatch.setattr("kairos.models.weights.tempfile.TemporaryDirectory", lambda **_: tmp_folder(tmp_path / "copy"))
    for weights in (blob, blob.read_bytes()):
        runner = CompiledRunner(graph, signature=spec.signature, form=spec.form, weights=weights)
        np.testing.assert_array_equal(runner.predict(score_columns(package, TABLE)), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blob", "copy"]


class tmp_folder:  # noqa: N801 - stands in for tempfile's
    """A folder, without ``mkdtemp``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> str:
        self.path.mkdir(exist_ok=True)
        return str(self.path)

    def __exit__(self, *args: object) -> None:
        """It stays."""


def test_damaged_weights_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    """In a folder and in the store, before ONNX Runtime sees them."""
    copy = tmp_path / "copy"
    for path in (path for path in folder.rglob("*") if path.is_file()):
        (copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    data = bytearray((copy / WEIGHTS_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / WEIGHTS_FILE).write_bytes(data)
    with pytest.raises(PackageError, match=f"'{WEIGHTS_FILE}' of a model package is not as it was written"):
        open_package(copy).runner()
    store = Store(tmp_path / "store")
    digest = store.put_folder(folder)
    blob = store.path(store.listing(digest)[WEIGHTS_FILE])
    blob.chmod(0o644)
    blob.write_bytes(data)
    with pytest.raises((PackageError, BlobDamaged), match=f"{WEIGHTS_FILE}|damaged"):
        open_stored(store, digest).runner()


def test_a_model_put_right_keeps_its_weights_apart(folder: Path, tmp_path: Path) -> None:
    """The same file, as the same blob."""
    base = open_package(folder)
    recalibrated_package(
        tmp_path / "right", base, Recalibration(level=1.0, slope=2.0), answers=answers(base),
        train_until=base.spec.train_until, lineage={},  # type: ignore[arg-type]
    )  # fmt: skip
    assert (tmp_path / "right" / WEIGHTS_FILE).read_bytes() == (folder / WEIGHTS_FILE).read_bytes()
    np.testing.assert_allclose(answers(open_package(tmp_path / "right")), 1.0 + 2.0 * answers(base))


def test_two_processes_hold_the_weights_once(folder: Path) -> None:
    """Of each process's share of memory, little more than half of the weights are its own part."""
    program = """
import pathlib, re, sys
from kairos.models.package import open_package
package = open_package(pathlib.Path(sys.argv[1]))
runner = package.compiled_runner()
runner.predict(package.spec.signature.parse_rows([package.example]))
print(flush=True)
sys.stdin.readline()
maps = pathlib.Path("/proc/self/smaps").read_text().split("VmFlags")
held = [int(re.search(r"Pss: +(\\d+)", part).group(1)) for part in maps if "compiled.weights" in part]
print(sum(held) * 1024, flush=True)
sys.stdin.readline()
"""
    words = [sys.executable, "-c", program, str(folder)]
    both = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    shares = []
    for _ in range(2):
        told = [each.stdout.readline() for each in both]  # type: ignore[union-attr]
        shares = [int(line) for line in told if line.strip()]
        for each in both:
            each.stdin.write("\n")  # type: ignore[union-attr]
            each.stdin.flush()  # type: ignore[union-attr]
    for each in both:
        each.communicate()
    size = (folder / WEIGHTS_FILE).stat().st_size
    assert sum(shares) == pytest.approx(size, rel=0.1)
