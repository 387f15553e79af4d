"""What every kind of model promises of its package, as tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from kairos.errors import PackageError
from kairos.models.package import Package, open_package
from kairos.models.score import score_columns

__all__ = ["PackageContract"]

Array = np.ndarray[Any, Any]


class PackageContract:
    """Subclass it under a name that begins with ``Test``, with three fixtures.

    ``folder`` is a package that ``FinishModel`` wrote; ``table`` the rows that its model was trained on; ``expected``
    what that model answers to them, shape (n,). ``tolerance`` is as in ``RunnerContract``; ``allow_pickle`` says if the
    package is opened with leave to run code.
    """

    tolerance: ClassVar[float] = 1e-9
    allow_pickle: ClassVar[bool] = False

    def test_what_was_packaged_answers_as_the_model_did(self, folder: Path, table: Any, expected: Array) -> None:
        """In every form that the package has."""
        package = self._opened(folder)
        columns = score_columns(package, table)
        forms = [package.native_runner, *([package.compiled_runner] if package.compilation.is_proven else [])]
        largest = np.max(np.abs(expected))
        for load in forms:
            answers = load().predict(columns)
            assert answers.dtype == np.float64
            wanted = np.reshape(expected, answers.shape)
            np.testing.assert_allclose(answers, wanted, rtol=0.0, atol=self.tolerance * largest)

    def test_its_example_is_answered(self, folder: Path) -> None:
        """A row of medians, which the signature accepts."""
        package = self._opened(folder)
        answer = package.runner().predict(package.spec.signature.parse_rows([package.example]))
        assert answer.shape[0] == 1
        assert np.isfinite(answer).all()

    def test_a_changed_file_is_refused_by_name(self, folder: Path, tmp_path: Path) -> None:
        """Each one, before anything in it is believed: also those that only other tools read."""
        for name in self._opened(folder).files:
            copy = Path(shutil.copytree(folder, tmp_path / "changed"))
            data = bytearray((copy / name).read_bytes())
            data[len(data) // 2] ^= 1
            (copy / name).write_bytes(data)
            with pytest.raises(PackageError) as caught:
                self._load(copy)
            assert caught.value.facts["file"] == name
            assert repr(name) in str(caught.value)
            shutil.rmtree(copy)

    def test_a_missing_file_is_named(self, folder: Path, tmp_path: Path) -> None:
        """Each one."""
        for name in self._opened(folder).files:
            copy = Path(shutil.copytree(folder, tmp_path / "lacking"))
            (copy / name).unlink()
            with pytest.raises(PackageError) as caught:
                self._load(copy)
            assert caught.value.facts["file"] == name
            shutil.rmtree(copy)

    def test_code_is_run_only_with_leave(self, folder: Path) -> None:
        """A package that needs it is refused without, in words that say what to type."""
        if not self.allow_pickle:
            self._load(folder)
            return
        with pytest.raises(PackageError, match="allow_pickle = true"):
            open_package(folder).native_runner()

    def _opened(self, folder: Path) -> Package:
        return open_package(folder, allow_pickle=self.allow_pickle)

    def _load(self, folder: Path) -> None:
        package = self._opened(folder)
        package.native_runner()
        package.baselines()
        if package.compilation.is_proven:
            package.compiled_runner()
