"""`kairos rebuild RUN --env`: in an environment made from the run's lock, with no index but a folder of wheels."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

PIPELINE = """
import ruler
from kairos import source, step

@source(files=["raw.txt"])
def raw() -> list:
    with open("raw.txt") as file:
        return [float(line) for line in file]

@step
def measured(raw: list) -> list:
    return [ruler.measure(value) for value in raw]
"""
HERE = next(each for each in sys.path if each.endswith("site-packages"))


class Place:
    """A project, the folder of wheels, and a library that is installed at some version."""

    def __init__(self, folder: Path) -> None:
        self.root, self.wheels, self.installed = folder / "project", folder / "wheels", folder / "installed"
        for each in (self.root, self.wheels, self.installed):
            each.mkdir()
        (self.root / "kairos.toml").write_text('[project]\nname = "made-up"\n')
        (self.root / "raw.txt").write_text("1\n2\n3\n")
        (self.root / "pipeline.py").write_text(PIPELINE)
        for found in importlib.metadata.distributions(path=[HERE]):  # what Kairos needs leads to what is here
            name = found.metadata["Name"]
            if name and name.lower() != "kairos-ml":
                stem = name.lower().replace("-", "_").replace(".", "_")
                self.wheel(name, found.version, {f"{stem}-here.pth": f"{HERE}\n"})
        for version, factor in (("1.0", 2), ("1.1", 3)):
            self.wheel("ruler", version, {"ruler.py": f"def measure(value): return value * {factor}\n"})

    def wheel(self, name: str, version: str, files: dict[str, str]) -> None:
        """Writes a wheel of these files; it needs nothing else."""
        stem = f"{name.replace('-', '_').replace('.', '_')}-{version}"
        info = f"{stem}.dist-info"
        said = {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/top_level.txt": "ruler\n" if name == "ruler" else "",
        }
        names = [*files, *said, f"{info}/RECORD"]
        with zipfile.ZipFile(self.wheels / f"{stem}-py3-none-any.whl", "w") as wheel:
            for path, text in {**files, **said, f"{info}/RECORD": "".join(f"{each},,\n" for each in names)}.items():
                wheel.writestr(path, text)

    def install(self, version: str) -> None:
        """Puts a version of the library where the project's runs find it."""
        for old in sorted(self.installed.rglob("*"), reverse=True):
            old.rmdir() if old.is_dir() else old.unlink()
        with zipfile.ZipFile(self.wheels / f"ruler-{version}-py3-none-any.whl") as wheel:
            wheel.extractall(self.installed)

    def kairos(self, *words: str, code: int = 0) -> str:
        """Runs the command; returns all that it printed."""
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(
                [str(self.installed), str(self.root / "src"), os.environ.get("PYTHONPATH", "")]
            ),
            **{"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1", "UV_OFFLINE": "1"},
            **{"PIP_FIND_LINKS": str(self.wheels), "UV_FIND_LINKS": str(self.wheels)},
            **{"PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_CACHE_DIR": str(self.root.parent / "uv")},
        }
        done = subprocess.run(
            [sys.executable, "-m", "kairos.cli", *words],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """With a run that used the first version."""
    found = Place(tmp_path)
    found.install("1.0")
    found.kairos("run")
    return found


def run_of(place: Place) -> str:
    """The id of its run."""
    return next(word for word in place.kairos("runs").split() if word.startswith("r") and len(word) == 11)


def test_a_run_comes_out_the_same_in_its_own_environment(place: Place) -> None:
    """Here the library has moved on, which explains the difference by both versions; there it has not."""
    run = run_of(place)
    place.install("1.1")
    told = place.kairos("rebuild", run, code=1)
    assert "diverged first at step 'measured'" in told
    assert "library ruler: 1.0 -> 1.1" in told
    told = place.kairos("rebuild", run, "--env")
    assert told.rstrip().endswith("identical")
    assert "ruler" not in told
    (python,) = place.root.glob(".kairos/environments/*/bin/python")
    said = subprocess.run([python, "-c", "import ruler; print(ruler.measure(1))"], capture_output=True, check=True)
    assert said.stdout.strip() == b"2"


def test_a_package_of_the_project_that_was_imported_from_its_place_is_there_as_it_was(place: Place) -> None:
    """As what is installed in editable mode is: no index has it."""
    (place.root / "src").mkdir()
    (place.root / "src" / "unit.py").write_text("UNIT = 2\n")
    (place.root / "pipeline.py").write_text(
        PIPELINE.replace("import ruler", "import ruler, unit").replace("value)", "unit.UNIT)")
    )
    place.kairos("run")
    run = run_of(place)
    (place.root / "src" / "unit.py").write_text("UNIT = 3\n")
    assert place.kairos("rebuild", run, "--env").rstrip().endswith("identical")


@pytest.mark.parametrize(
    ("is_gone", "told"),
    [
        (lambda name: name.startswith("ruler-1.0"), "note: ruler was not recreated"),
        (lambda name: not name.startswith("ruler"), "No environment can be made: Kairos needs"),
    ],
    ids=["a library of the run", "what Kairos needs"],
)
def test_what_cannot_be_had_is_named(place: Place, is_gone: Callable[[str], bool], told: str) -> None:
    """A library of the run: with the installer's reason, and the rest is made. One of Kairos: nothing can be."""
    for wheel in place.wheels.iterdir():
        if is_gone(wheel.name):
            wheel.unlink()
    assert told in place.kairos("rebuild", run_of(place), "--env", code=1)


MODEL = """
import numpy as np
import polars as pl
import ruler
from sklearn.linear_model import Ridge
from kairos import model, source

@source
def rows() -> pl.DataFrame:
    random = np.random.default_rng(0)
    a = random.normal(size=100)
    return pl.DataFrame({"a": a, "users": 9 * a + random.normal(size=100)})

@model(target="users")
def demand(rows: pl.DataFrame):
    return Ridge(alpha=ruler.measure(5.0))
"""


def test_an_answer_is_given_again_in_the_environment_of_its_run(place: Place) -> None:
    """Here the library has moved on, which explains another answer, or a close one; there it is the same to the bit."""
    (place.root / "pipeline.py").write_text(MODEL)
    settings = '[model.demand]\nstep = "demand"\nholdout = "rows"\ntarget = "users"\n'
    (place.root / "kairos.toml").write_text(f'[project]\nname = "made-up"\n{settings}')
    place.kairos("run")
    (place.root / "asked.csv").write_text("a\n1.0\n")
    job = json.loads(place.kairos("predict", "demand@1", "asked.csv", "-o", "said.csv", "--json"))["job"]
    place.install("1.1")
    told = place.kairos("explain", f"{job}-0", "--rebuild", code=1)
    assert "gives another answer" in told
    assert "library ruler: 1.0 -> 1.1" in told
    lock = json.loads(place.kairos("explain", f"{job}-0", "--json"))["environment"]["lock"]
    assert f"environment  lock {lock}: Python " in told
    assert "ruler 1.0" in next(line for line in told.splitlines() if line.startswith("libraries"))
    assert "same answer within 0.5" in place.kairos("explain", f"{job}-0", "--rebuild", "--tolerance", "0.5")
    told = place.kairos("explain", f"{job}-0", "--rebuild", "--env")
    assert "gives the same answer, to the last bit" in told
    assert "Nothing is made again" in place.kairos("explain", f"{job}-0", "--env", code=2)
