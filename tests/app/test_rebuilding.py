"""A run is made again from what was kept of it, and what explains a difference is named."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kairos.app.needs import needs
from kairos.app.project import Project
from kairos.app.rebuilding import Rebuilt, rebuild
from kairos.app.starting import start_project
from kairos.app.training import train
from kairos.errors import NotFound, PipelineError
from kairos.values import Window

WINDOW = Window.parse("2011-01-03..2011-01-23")
PIPELINE = """
from pathlib import Path
import numpy as np
import ruler
from kairos import source, step
import helper

@source(files=["raw.txt"])
def raw() -> list:
    return [float(line) for line in Path("raw.txt").read_text().split()]

@step
def measured(raw: list) -> list:
    return [ruler.measure(value) for value in raw]

@step(seed=3)
def noisy(measured: list, *, scale: float = 1.0) -> np.ndarray:
    return np.random.normal(size=3) * scale + np.array(measured)

@step
def total(noisy) -> float:
    return helper.total(noisy)
"""
HELPER = "def total(values): return float(values.sum())\n"
RULER = "def measure(value): return value * {factor}\n"


class Place:
    """A project, and a library of its own that is installed beside it."""

    def __init__(self, root: Path, library: Path) -> None:
        self.root, self.library = root, library
        root.mkdir()
        (root / "kairos.toml").write_text('[project]\nname = "made-up"\n')
        (root / "helper.py").write_text(HELPER)
        (root / "raw.txt").write_text("1\n2\n3\n")
        self.write(PIPELINE)
        self.install("1.0", "2.0")

    def write(self, text: str) -> None:
        """Writes the pipeline."""
        (self.root / "pipeline.py").write_text(text)

    def install(self, version: str, factor: str) -> None:
        """Installs the library."""
        for old in self.library.glob("ruler-*"):
            (old / "METADATA").unlink()
            (old / "top_level.txt").unlink()
            old.rmdir()
        info = self.library / f"ruler-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ruler\nVersion: {version}\n")
        (info / "top_level.txt").write_text("ruler\n")
        (self.library / "ruler.py").write_text(RULER.format(factor=factor))

    def project(self) -> Project:
        """The project, opened as a new process would open it."""
        return Project(self.root, actor="tester", workers=1)

    def run(self) -> str:
        """A run's id."""
        with self.project() as project:
            result = train(project, window=WINDOW).result
            assert result.ok, result.failure
            return result.id

    def rebuild(self, run: str, tolerance: float = 1e-9) -> Rebuilt:
        """What comes of making it again."""
        with self.project() as project:
            return rebuild(project, run, tolerance=tolerance)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A made-up project."""
    from kairos.pipeline import code

    library = tmp_path / "library"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(library), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(library))
    code._distributions.cache_clear()
    yield Place(tmp_path / "project", library)
    code._distributions.cache_clear()


def test_a_run_comes_out_the_same_whatever_became_of_the_project(place: Place) -> None:
    """Code, settings and raw data were kept: the files of today do not count, nor does the cache."""
    run = place.run()
    place.write("raise RuntimeError('work in progress')")
    (place.root / "helper.py").unlink()
    (place.root / "raw.txt").write_text("nothing\n")
    found = place.rebuild(run)
    assert (found.answer, found.diverged, found.taken) == ("identical", None, ("raw",))
    assert list(found.steps) == ["measured", "noisy", "total"]
    assert found.distributions == {}
    assert (found.folder / "helper.py").read_text() == HELPER


def test_code_in_src_and_beside_the_project_is_that_of_then(place: Place) -> None:
    """Both are on ``sys.path`` by the pipeline's own doing; a rebuild never looks at the project's own ones."""
    begin = "import sys\nHERE = Path(__file__).parent\nsys.path += [str(HERE / 'src'), str(HERE.parent / 'team')]\n"
    (place.root / "src").mkdir()
    (place.root.parent / "team").mkdir()

    def write(number: int) -> None:
        (place.root / "src" / "inside.py").write_text(f"X = {number}.0\n")
        (place.root.parent / "team" / "beside.py").write_text(f"Y = {number}.0\n")

    write(1)
    text = PIPELINE.replace("import ruler", begin + "import ruler, inside, beside")
    place.write(text.replace("helper.total(noisy)", "helper.total(noisy) + inside.X + beside.Y"))
    run = place.run()
    write(5)
    again = place.rebuild(run)
    assert again.answer == "identical", again
    assert place.run() != run
    assert place.rebuild(run).answer == "identical"


def test_what_is_installed_from_the_project_is_that_of_then(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in editable mode leads to the project's folder: its code of today does not count, nor in a child."""
    package = place.root / "src" / "pack"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("FACTOR = 2.0\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.environ["PYTHONPATH"]]))
    monkeypatch.syspath_prepend(str(package.parent))
    place.write("""
import subprocess, sys
import pack
from kairos import step

@step
def own() -> float:
    return pack.FACTOR

@step
def childs(own: float) -> str:
    return subprocess.check_output([sys.executable, "-c", "import pack; print(pack.FACTOR)"], text=True)
""")
    run = place.run()
    (package / "__init__.py").write_text("FACTOR = 3.0\n")
    found = place.rebuild(run)
    assert (found.answer, list(found.steps)) == ("identical", ["own", "childs"])


def test_what_a_rebuild_needs_is_no_garbage(place: Place) -> None:
    """Code and environment of the newest run, and of those that versions name, stay with its results."""
    place.run()
    with place.project() as project:
        kept = next(iter(project.ledger.read(kinds=["run.finished"]))).body["kept"]
        needed = {need.digest: need.who for need in needs(project)}
    assert {kept["files"], kept["environment"]} <= needed.keys()
    assert needed[kept["files"]].startswith("files kept of run r")


def test_the_example_comes_out_the_same_with_its_model(tmp_path: Path) -> None:
    """Real data, a real package, found by its version; to the byte."""
    with Project(start_project("bikes", tmp_path / "bikes"), actor="tester", workers=1) as project:
        window = Window.parse("2011-01-03..2011-03-27")
        assert [str(ref) for ref in train(project, window=window).versions] == ["demand@1"]
        found = rebuild(project, "demand@1")
    assert (found.answer, found.taken) == ("identical", ("rentals",))
    assert list(found.steps) == ["features", "split", "demand"]


def test_a_changed_library_explains_another_result(place: Place) -> None:
    """The first step that it touches is named; what follows from it is not."""
    from kairos.pipeline import code

    run = place.run()
    place.install("1.1", "2.5")
    code._distributions.cache_clear()
    found = place.rebuild(run)
    assert found.answer == "diverged"
    assert found.diverged is not None
    assert found.diverged.step == "measured"
    assert found.diverged.why == ("library ruler: 1.0 -> 1.1",)
    assert "item" in found.diverged.what
    assert found.distributions == {"ruler": ("1.0", "1.1")}


def test_rounding_is_told_from_a_difference(place: Place) -> None:
    """Equal within a tolerance, of what and by how much; with no tolerance it is a difference."""
    from kairos.pipeline import code

    run = place.run()
    place.install("1.1", "2.0000000000001")
    code._distributions.cache_clear()
    found = place.rebuild(run)
    assert (found.answer, found.steps["measured"].how) == ("close", "close")
    assert 1e-14 < found.steps["measured"].by < 1e-12
    assert place.rebuild(run, tolerance=0.0).answer == "diverged"


def test_chance_that_no_seed_controls_is_named(place: Place) -> None:
    """Nothing that was recorded differs, and the step gives something else each time."""
    place.write(PIPELINE.replace("return helper.total(noisy)", "return helper.total(noisy) + os.urandom(8)[0]"))
    place.write("import os\n" + (place.root / "pipeline.py").read_text())
    found = place.rebuild(place.run())
    assert found.diverged is not None
    assert (found.diverged.step, list(found.steps)[:2]) == ("total", ["measured", "noisy"])
    assert found.diverged.why[0].startswith("chance: made twice here")


def test_what_git_has_comes_along(place: Place) -> None:
    """Files that are no code are those of the commit, with what was changed and not committed."""
    text = PIPELINE.replace("return [ruler.measure(value) for value in raw]", "return [Path('unit.txt').read_text()]")
    place.write(text.replace("+ np.array(measured)", "+ len(measured[0])"))
    (place.root / "unit.txt").write_text("metre")
    for words in (["init", "--quiet"], ["add", "kairos.toml", "pipeline.py", "unit.txt"], ["commit", "-qm", "first"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", "-C", str(place.root), *identity, *words], check=True)
    (place.root / "unit.txt").write_text("millimetre")
    run = place.run()
    (place.root / "unit.txt").write_text("mile")
    found = place.rebuild(run)
    assert (found.folder / "unit.txt").read_text() == "millimetre"
    assert found.answer == "identical"


def test_what_cannot_be_made_again_is_refused(place: Place) -> None:
    """A run that is not there, one that failed, and one whose data are gone."""
    with place.project() as project, pytest.raises(NotFound, match="There is no run 'r0'"):
        rebuild(project, "r0")
    run = place.run()
    with place.project() as project:
        body = next(iter(project.ledger.read(kinds=["run.finished"]))).body
        digest = body["steps"][0]["outputs"][0]["digest"]
        path = project.store.path(digest)
        path.unlink()
        with pytest.raises(NotFound, match=digest):
            rebuild(project, run)
    place.write(PIPELINE.replace("return helper.total(noisy)", "raise ValueError('no')"))
    with place.project() as project:
        failed = train(project, window=WINDOW).result
        with pytest.raises(PipelineError, match="failed, so there is nothing to compare with"):
            rebuild(project, failed.id)
