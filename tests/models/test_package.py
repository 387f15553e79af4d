"""A package is the same for equal trainings, and one that is not as it was written is refused by the file's name."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import skops.io
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from kairos.errors import PackageError
from kairos.models.finish import ModelOptions
from kairos.models.package import open_package, write_package
from kairos.values import canonical_json
from tests.models.trainings import finish, hours


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by its relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package, not to be written to."""
    return finish(tmp_path_factory.mktemp("made"), HistGradientBoostingRegressor(max_iter=5), train=hours())


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(pristine, tmp_path / "copy"))


def test_equal_trainings_give_the_same_bytes(pristine: Path, tmp_path: Path) -> None:
    """In every file, so that they have one digest."""
    again = finish(tmp_path, HistGradientBoostingRegressor(max_iter=5), train=hours())
    assert contents(again) == contents(pristine)


def test_another_training_gives_another_estimator(pristine: Path, tmp_path: Path) -> None:
    """Or the test above would prove nothing."""
    other = finish(tmp_path, HistGradientBoostingRegressor(max_iter=5), train=hours(seed=1))
    assert contents(other)["model.skops"] != contents(pristine)["model.skops"]


def test_what_was_written_is_read(pristine: Path) -> None:
    """Spec, profile, lineage and example."""
    package = open_package(pristine)
    assert package.lineage == {"inputs": {"train": "0" * 32}}
    assert package.example.keys() == set(package.spec.signature.names)
    assert package.spec.libraries.keys() >= {"numpy", "scikit-learn", "skops"}
    assert package.compilation.is_proven


def load(folder: Path) -> None:
    """Opens a package and reads all of it, in both forms."""
    package = open_package(folder)
    package.native_runner()
    package.compiled_runner()


READ = [
    "kairos/spec.json", "kairos/profile.json", "kairos/lineage.json", "kairos/compiled.json", "kairos/compiled.onnx",
    "input_example.json", "model.skops",
]  # fmt: skip
NOT_READ_BY_US = [
    "MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml", "serving_input_example.json",
    "kairos/baselines.json",
]  # fmt: skip


def test_no_file_of_a_package_is_left_out_here(pristine: Path) -> None:
    """Every one is on the list, and in the tests below."""
    assert set(contents(pristine)) == {*READ, *NOT_READ_BY_US, "kairos/files.json"}


@pytest.mark.parametrize("form", ["runner", "native_runner", "compiled_runner", "estimator"])
@pytest.mark.parametrize("name", NOT_READ_BY_US)
def test_a_file_that_others_read_is_compared_as_well(folder: Path, name: str, form: str) -> None:
    """Before the model is loaded, in whatever form: MLflow installs what ``requirements.txt`` names."""
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(PackageError, match=f"'{name}' of a model package is not as it was written") as caught:
        getattr(open_package(folder), form)()
    assert caught.value.facts["file"] == name


@pytest.mark.parametrize("name", ["model.pkl", "kairos/compiled.weights", "model/code.py", ".hidden"])
def test_a_file_that_was_added_is_refused(folder: Path, name: str) -> None:
    """Also a link that leads nowhere."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to("nowhere") if name == "model.pkl" else (folder / name).write_bytes(b"")
    with pytest.raises(PackageError, match=f"'{name}' is none of a model package: it was added"):
        open_package(folder).runner()


def test_a_copy_that_mlflow_registered_is_loaded(folder: Path) -> None:
    """It writes ``MLmodel`` anew, from which nothing is read here, and puts a file beside it; no other may differ."""
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text() + "model_uuid: 1\n")
    (folder / "registered_model_meta").write_text("model_name: demand\n")
    open_package(folder, is_copy_of_mlflow=True).runner()
    with pytest.raises(PackageError, match="'MLmodel' of a model package is not as"):
        open_package(folder).runner()
    (folder / "requirements.txt").write_text("")
    with pytest.raises(PackageError, match=r"'requirements.txt' of a model package is not as"):
        open_package(folder, is_copy_of_mlflow=True).runner()


def test_the_list_of_files_is_refused_if_a_byte_of_it_changed(folder: Path) -> None:
    """White space, too; where a digit of a digest did, the file that no longer fits is told with the list's name."""
    listed = folder / "kairos/files.json"
    written = listed.read_bytes()
    listed.write_bytes(written + b"\n")
    with pytest.raises(PackageError, match=r"'kairos/files\.json' of a model package is not as it was") as caught:
        open_package(folder)
    assert caught.value.facts["file"] == "kairos/files.json"
    for place in (-3, len(written) // 2, 20):
        changed = bytearray(written)
        changed[place] ^= 1
        listed.write_bytes(changed)
        with pytest.raises(PackageError, match=r"kairos/files\.json|lacks"):
            load(folder)


@pytest.mark.parametrize("name", READ)
def test_a_changed_byte_is_found(folder: Path, name: str) -> None:
    """Before anything in the file is believed."""
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(PackageError, match=f"'{name}' of a model package is not as it was written") as caught:
        load(folder)
    assert caught.value.facts["file"] == name


@pytest.mark.parametrize("name", [*READ, *NOT_READ_BY_US, "kairos/files.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    """A folder that another tool made has no ``kairos/files.json``."""
    (folder / name).unlink()
    with pytest.raises(PackageError, match=f"lacks '{name}'") as caught:
        load(folder)
    assert caught.value.facts["file"] == name


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Changes a file and its entry in the list of files, as a forger would."""
    from hashlib import sha256

    listed = folder / "kairos/files.json"
    old = sha256((folder / name).read_bytes()).hexdigest()
    listed.write_text(listed.read_text().replace(old, sha256(data).hexdigest()))
    (folder / name).write_bytes(data)


def test_a_forged_estimator_runs_nothing(folder: Path, tmp_path: Path) -> None:
    """Its types are checked before one of them is loaded; the list of files is no protection against a forger."""
    made = tmp_path / "made"
    rewrite(folder, "model.skops", skops.io.dumps(functools.partial(os.system, f"touch {made}")))
    with pytest.raises(PackageError, match=r"'model.skops' .* not trusted; nothing of it was loaded"):
        load(folder)
    assert not made.exists()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("kairos/spec.json", b'{"format":"99"}', "format that is not known"),
        ("kairos/spec.json", b'{"format":"1"}', "spec cannot be read"),
        ("kairos/profile.json", b"[]", "not a JSON object"),
        ("kairos/profile.json", b"{", "'kairos/profile.json' in a model package is not JSON"),
        ("kairos/profile.json", b"{}", "profile cannot be read"),
        ("kairos/compiled.json", b"{}", "What a package says of its compiled form cannot be read"),
        ("kairos/compiled.onnx", b"PK", "'kairos/compiled.onnx' of a model package cannot be loaded"),
        ("model.skops", b"PK", "'model.skops' of a model package cannot be read"),
    ],
)
def test_files_of_another_format_are_a_package_error(folder: Path, name: str, data: bytes, words: str) -> None:
    """Never an error from somewhere inside."""
    rewrite(folder, name, data)
    with pytest.raises(PackageError, match=words):
        load(folder)


class Own(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A project's own estimator."""

    def fit(self, frame: object, target: object) -> Own:
        """Learns nothing."""
        self.fitted_ = True
        return self

    def predict(self, frame: object) -> list[float]:
        """The number of rows does not matter to a constant."""
        return [7.0] * len(frame)  # type: ignore[arg-type]


def test_an_estimator_of_its_own_class_needs_pickle_twice(tmp_path: Path) -> None:
    """Once when it is packaged, and once when it is loaded."""
    with pytest.raises(PackageError, match="without pickle"):
        finish(tmp_path / "no", Own(), train=hours())
    package = finish(tmp_path / "yes", Own(), ModelOptions(time="hour", allow_pickle=True), train=hours())
    with pytest.raises(PackageError, match=r"'model.pkl' .* is a pickle"):
        open_package(package).runner()
    opened = open_package(package, allow_pickle=True)
    answer = opened.runner().predict(opened.spec.signature.parse_rows([opened.example]))
    assert answer.tolist() == [7.0]


def test_a_damaged_pickle_is_a_package_error(tmp_path: Path) -> None:
    """Even where pickle is allowed."""
    package = finish(tmp_path, Own(), ModelOptions(time="hour", allow_pickle=True), train=hours())
    rewrite(package, "model.pkl", b"\x80\x05no")
    with pytest.raises(PackageError, match=r"'model\.pkl' of a model package cannot be read"):
        open_package(package, allow_pickle=True).runner()


def test_a_package_is_not_written_over_another(pristine: Path) -> None:
    """Files of the old one would stay."""
    old = open_package(pristine)
    with pytest.raises(PackageError, match="empty folder"):
        write_package(pristine, LinearRegression(), spec=old.spec, profile=old.profile, lineage={}, example={})


def test_opening_a_package_loads_no_scikit_learn(pristine: Path) -> None:
    """A spec can be read in a process that never predicts."""
    program = (
        "import sys, pathlib; from kairos.models.package import open_package;"
        "print(open_package(pathlib.Path(sys.argv[1])).spec.model);"
        "print({'sklearn', 'skops', 'pandas', 'polars', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, pristine], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["demand", "set()"]


def test_a_package_of_an_older_version_answers_natively(folder: Path) -> None:
    """It has no compiled form, and does not say why."""
    listed = folder / "kairos/files.json"
    files = json.loads(listed.read_text())
    for name in ("kairos/compiled.json", "kairos/compiled.onnx"):
        del files[name]
        (folder / name).unlink()
    listed.write_bytes(canonical_json(files))
    package = open_package(folder)
    assert package.answering == "native"
    assert package.compilation.why is not None
    with pytest.raises(PackageError, match="no compiled form"):
        package.compiled_runner()
    assert package.runner() is package.native_runner()


def test_a_compiled_form_that_cannot_be_run_here_is_answered_for(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the native one: the file is as it was written, and ONNX Runtime may be too old for it."""
    rewrite(folder, "kairos/compiled.onnx", b"of another time")
    package = open_package(folder)
    assert package.runner() is package.native_runner()
    assert package.runner() is package.native_runner()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["demand answers in its native form"]


def test_a_damaged_compiled_form_answers_nothing(folder: Path) -> None:
    """Whoever changed it may have changed more."""
    (folder / "kairos/compiled.onnx").write_bytes(b"")
    with pytest.raises(PackageError, match="not as it was written"):
        open_package(folder).runner()


def test_the_compiled_form_predicts_without_scikit_learn(pristine: Path) -> None:
    """Nor pandas, Polars, scipy or MLflow: a server of compiled models holds none of them."""
    program = (
        "import sys, pathlib; from kairos.models.package import open_package;"
        "package = open_package(pathlib.Path(sys.argv[1]));"
        "print(package.runner().predict(package.spec.signature.parse_rows([package.example])).shape);"
        "print({'sklearn', 'skops', 'pandas', 'polars', 'mlflow', 'onnx', 'skl2onnx', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, pristine], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["(1,)", "set()"]
