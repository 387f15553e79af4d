"""Models that MLflow packs are packaged and served where the settings allow them to run code, and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMRegressor

from kairos.errors import PackageError
from kairos.models.finish import ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.pyfunc_model import mlflow  # type: ignore[attr-defined]  # loaded there without its warnings
from kairos.models.recalibrated import recalibrated_package
from kairos.models.score import score_columns, score_table
from kairos.stats.recalibration import Recalibration
from tests.models.trainings import LEAKS, OPTIONS, finish, hours, seasons, to_pandas

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",  # MLflow's own code
    "ignore:.*Add type hints to the `predict` method:UserWarning",  # MLflow's advice
)
ALLOWED = replace(OPTIONS, allow_pickle=True)
TABLE = hours()


class OfPolars:
    """An object that predicts from Polars."""

    def predict(self, frame: Any) -> Any:
        """A column of one number."""
        return frame.select(pl.col("hour_of_day") * 5.0 + pl.col("temperature")).to_numpy()


class OfPandas:
    """An object that predicts from pandas, text among it."""

    def predict(self, frame: Any) -> Any:
        """A series."""
        return frame["hour_of_day"].astype(float) * 5.0 + frame["season"].str.len()


def python_model() -> Any:
    """MLflow's own class for models of one's own."""

    class Own(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return model_input["hour_of_day"].to_numpy() * 5.0

    return Own()


CASES: dict[str, tuple[Any, Any, str]] = {
    "polars": (OfPolars(), TABLE, "polars"),
    "pandas": (OfPandas(), seasons(), "pandas"),
    "pandas of pandas": (OfPandas(), to_pandas(seasons()), "pandas"),
    "python model": (python_model, TABLE, "pandas"),
}


def packaged(folder: Path, returned: Any, table: Any, options: ModelOptions = ALLOWED) -> Package:
    """Finished with leave, and opened with leave."""
    return open_package(finish(folder, returned, options, train=table), allow_pickle=True)


@pytest.mark.parametrize("case", CASES)
def test_a_package_answers_as_the_object_does(tmp_path: Path, case: str) -> None:
    """In the frame that it takes; MLflow loads the package, and the folder in it, and says the same."""
    given, table, kind = CASES[case]
    returned = given() if given is python_model else given
    package = packaged(tmp_path, returned, table, replace(ALLOWED, time=None) if "season" in table.columns else ALLOWED)
    assert (package.spec.serialization, package.spec.form.kind, package.answering) == ("pyfunc", kind, "native")
    frame = package.estimator()
    expected = np.ravel(frame.predict(table[list(package.spec.signature.names)]))
    answers = score_table(package, table)
    assert answers.dtype == np.float64
    np.testing.assert_array_equal(answers, expected)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "package"))
    names = list(package.spec.signature.names)
    own = to_pandas(table.select(names)) if isinstance(table, pl.DataFrame) else table[names]
    floats = [column.name for column in package.spec.signature.columns if column.kind == "integer" and column.nullable]
    np.testing.assert_array_equal(loaded.predict(own.astype(dict.fromkeys(floats, float))), expected)


def test_a_saved_folder_knows_its_columns(tmp_path: Path) -> None:
    """Any flavour of MLflow; with a signature only its columns are features."""
    frame = to_pandas(TABLE.drop_nulls().select("temperature", "hour_of_day")).astype({"hour_of_day": "int64"})
    model = LGBMRegressor(n_estimators=9, verbose=-1).fit(frame, TABLE.drop_nulls()["users"].to_numpy())
    import mlflow.lightgbm
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec("double", "temperature"), ColSpec("long", "hour_of_day")])
    mlflow.lightgbm.save_model(
        model, str(tmp_path / "saved"), signature=ModelSignature(inputs), pip_requirements=["lightgbm"]
    )
    package = packaged(tmp_path / "made", tmp_path / "saved", TABLE.drop_nulls())
    assert package.spec.signature.names == ("temperature", "hour_of_day")
    assert {"lightgbm", "mlflow-skinny", "kairos-ml"} <= package.spec.libraries.keys()
    np.testing.assert_allclose(score_table(package, TABLE.drop_nulls()), np.asarray(model.predict(frame)), rtol=1e-12)


def test_it_is_allowed_twice(tmp_path: Path) -> None:
    """Once when it is packaged, before any code of it runs, and once when it is loaded."""
    with pytest.raises(
        PackageError, match=r"'demand' is packaged by MLflow, and loading that runs code.*allow_pickle = true"
    ):
        finish(tmp_path / "no", OfPolars(), train=TABLE)
    folder = finish(tmp_path / "yes", OfPolars(), ALLOWED, train=TABLE)
    with pytest.raises(PackageError, match=r"'model/' of a model package is a model of MLflow.*allow_pickle = true"):
        open_package(folder).runner()


def test_equal_objects_give_the_same_bytes(tmp_path: Path) -> None:
    """Without the time and the numbers that MLflow gives to each saving."""
    one, two = (finish(tmp_path / name, OfPolars(), ALLOWED, train=TABLE) for name in ("one", "two"))
    assert (one / "kairos/files.json").read_bytes() == (two / "kairos/files.json").read_bytes()


def test_the_projects_own_class_is_inside(tmp_path: Path) -> None:
    """A server has no module of the project to import."""
    folder = finish(tmp_path, OfPolars(), ALLOWED, train=TABLE)
    program = (
        "import sys, pathlib; from kairos.models.package import open_package;"
        "package = open_package(pathlib.Path(sys.argv[1]), allow_pickle=True);"
        "row = package.spec.signature.parse_rows([package.example]);"
        "print(package.runner().predict(row).shape, 'tests' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, folder],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "(1,) False"


@pytest.mark.parametrize("name", ["model/data/model.pkl", "model/MLmodel", "model/requirements.txt"])
def test_a_changed_file_is_named(tmp_path: Path, name: str) -> None:
    """Before anything of it is unpickled."""
    folder = finish(tmp_path, OfPolars(), ALLOWED, train=TABLE)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1] + b"?")
    with pytest.raises(PackageError, match=f"'{name}' of a model package is not as it was written"):
        open_package(folder, allow_pickle=True).runner()


class Lacking:
    """Not trained."""

    def predict(self, frame: Any) -> Any:
        """Nothing yet."""
        return self.mean * len(frame)  # type: ignore[attr-defined]


class Saying:
    """Whatever a test says."""

    def __init__(self, say: Any) -> None:
        self.say = say

    def predict(self, frame: Any) -> Any:
        """Of a frame."""
        return self.say(frame)


REFUSED: dict[str, tuple[Any, str]] = {
    "not trained": (Lacking(), r"cannot predict its training table.*AttributeError.*a trained model"),
    "two numbers": (Saying(lambda f: np.ones((len(f), 2))), r"cannot predict its training table.*one number a row"),
    "text": (Saying(lambda f: ["a"] * len(f)), "cannot predict its training table.*one number a row"),
    "a scalar": (Saying(lambda f: 1.0), "cannot predict its training table"),
    "missing": (Saying(lambda f: f["weather"].to_numpy().astype(float)), "no number.*where weather is missing"),
    "neighbours": (Saying(lambda f: f["hour_of_day"].to_numpy() - f["hour_of_day"].mean()), "beside other rows"),
    "no folder": (Path("nowhere"), r"cannot be packaged by MLflow.*a folder that MLflow saved"),
    "a lock": (Saying(threading.Lock()), r"cannot be packaged by MLflow.*cloudpickle"),
    "no model": ({"a": 1}, r"has to return an estimator.*torch\.nn\.Module.*PythonModel.*predict.*Path"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_model_of_rows_is_refused(tmp_path: Path, case: str) -> None:
    """In words that say why, and nothing is written."""
    returned, words = REFUSED[case]
    with pytest.raises(PackageError, match=words):
        finish(tmp_path, returned, ALLOWED, train=TABLE)
    assert not (tmp_path / "package").exists()


def test_chances_have_to_be_chances(tmp_path: Path) -> None:
    """Where the loss judges them as such."""
    table = TABLE.drop(*LEAKS).with_columns(users=(pl.col("users") > 80).cast(pl.Int64))
    options = replace(ALLOWED, loss="log_loss")
    good = packaged(tmp_path / "yes", Saying(lambda f: f["hour_of_day"].to_numpy() / 30.0), table, options)
    assert score_table(good, table).max() < 1.0
    with pytest.raises(PackageError, match="what is no chance"):
        finish(tmp_path / "no", Saying(lambda f: f["hour_of_day"].to_numpy() * 1.0), options, train=table)


def test_a_model_that_is_put_right(tmp_path: Path) -> None:
    """The line lies beside it; leave is needed as before."""
    base = packaged(tmp_path / "made", OfPolars(), TABLE)
    columns = score_columns(base, TABLE)
    answers = base.runner().predict(columns)
    recalibrated_package(
        tmp_path / "right", base, Recalibration(level=3.0, slope=2.0), answers=answers,
        train_until=base.spec.train_until, lineage={},  # type: ignore[arg-type]
    )  # fmt: skip
    right = open_package(tmp_path / "right", allow_pickle=True)
    np.testing.assert_allclose(right.runner().predict(columns), 3.0 + 2.0 * answers)
    with pytest.raises(PackageError, match="runs code"):
        open_package(tmp_path / "right").runner()


def test_its_folder_on_disk_goes_with_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that changes models a thousand times keeps no thousand folders."""
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(desk))
    package = packaged(tmp_path / "made", OfPolars(), TABLE)
    runner = package.runner()
    assert len(list(desk.iterdir())) == 1
    del package, runner
    assert not list(desk.iterdir())
    shutil.rmtree(desk)
