"""What runs is what was captured, wherever the project keeps its modules and whatever happens to them meanwhile."""

from __future__ import annotations

import shutil
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from kairos.pipeline.artifacts import decode
from kairos.pipeline.captured import fetch
from kairos.pipeline.code import CodeIndex
from kairos.pipeline.project import PipelineSource, load_module
from kairos.pipeline.result import RunResult
from tests.pipeline.projects import Place, statuses, write_project

STEPS = """
import sys
from pathlib import Path
HERE = Path(__file__).parent
{begin}
{eager}
@step
def first() -> int: return {name}.X
@step
def second(first: int) -> list:
    {late}
    return [first, later.X]
"""

SRC = "sys.path.insert(0, str(HERE / 'src'))"
LAST = "sys.path.append(str(HERE / 'src'))"
SPELT = "sys.path.insert(0, str(HERE / '..' / HERE.name / '.' / 'src') + '/')"
SITE = "import site\nsite.addsitedir(str(HERE / 'installed'))"
BOTH = "import tools", "import later"
PACK = "from pack import tools", "from pack import later"
DEEP = "from pack.deep import tools", "from pack.deep import later"
LAYOUTS = {
    "beside the pipeline": ("", *BOTH, ".", ""),
    "src on sys.path": (SRC, *BOTH, "src", ""),
    "behind all others": (LAST, *BOTH, "src", ""),
    "a package in src": (SRC, *PACK, "src/pack", "__init__"),
    "a package without __init__.py": (SRC, *PACK, "src/pack", ""),
    "a package of the project": ("", *DEEP, "pack/deep", "__init__"),
    "relative and late": (SRC, PACK[0], "later = tools.late()", "src/pack", "__init__"),
    "another spelling": (SPELT, *BOTH, "src", ""),
    "an editable install by a path file": (SITE, *PACK, "src/pack", "__init__"),
    "put on sys.path by the step": ("", BOTH[0], "sys.path.insert(0, str(HERE / 'lib'))\n    import later", "lib", ""),
}
"""What the pipeline does first, what it imports at once and late, where both are, and a file beside them."""


def given(place: Place, result: RunResult, name: str) -> Any:
    """What a step gave."""
    assert result.ok, result.failure
    return decode(place.store, result.artifact(name), workdir=place.root)


def write_layout(place: Place, layout: str) -> Path:
    """Writes a project whose modules say 1, and returns their folder."""
    begin, eager, late, where, beside = LAYOUTS[layout]
    folder = place.root / where
    folder.mkdir(parents=True, exist_ok=True)
    if beside:
        (folder / f"{beside}.py").write_text("")
    is_here = "import tools" in eager and where == "lib"
    write_modules(folder, 1)
    if is_here:
        shutil.move(folder / "tools.py", place.root / "tools.py")
    (place.root / "installed").mkdir()
    (place.root / "installed" / "pack.pth").write_text(f"{place.root / 'src'}\n")
    place.write(STEPS.format(begin=begin, eager=eager, late=late, name="tools"))
    return folder


def write_modules(folder: Path, number: int) -> None:
    """Both modules say a number; one of them imports the other late."""
    late = "\ndef late():\n    from . import later\n    return later\n"
    (folder / "tools.py").write_text(f"X = {number}\n{late}")
    (folder / "later.py").write_text(f"X = {number}\n")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_edits_during_a_run_wait_for_the_next(place: Place, layout: str) -> None:
    """In every place from which a project imports, at once or in the middle of a step; the next run has them."""
    folder = write_layout(place, layout)
    first = place.run(on_event=lambda event: write_modules(folder, 2))
    assert given(place, first, "second") == [1, 1]
    assert given(place, place.run(), "second") == ([1, 2] if "by the step" in layout else [2, 2])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_that_are_deleted_during_a_run_are_still_there(place: Place, layout: str) -> None:
    """As when another branch is checked out meanwhile."""
    folder = write_layout(place, layout)

    def delete(event: object) -> None:
        for file in [*folder.rglob("tools.py"), *folder.rglob("later.py"), *folder.rglob("__init__.py")]:
            file.unlink()

    assert given(place, place.run(on_event=delete), "second") == [1, 1]


def test_the_commands_process_stays_as_it_was(tmp_path: Path) -> None:
    """What the project's code puts on ``sys.path``, its finders and its modules are gone once it was looked at."""
    (tmp_path / "src" / "pack").mkdir(parents=True)
    (tmp_path / "src" / "pack" / "tools.py").write_text("X = 1")
    (tmp_path / "pipeline.py").write_text(
        "import sys\nsys.path.insert(0, 'src')\nsys.path.append(__file__.replace('pipeline.py', 'src'))\n"
        "class Own:\n    @staticmethod\n    def find_spec(*given):\n        return None\n"
        "sys.meta_path.append(Own)\nfrom pack import tools\n"
    )
    before = list(sys.path), list(sys.meta_path), list(sys.path_hooks), set(sys.modules)
    assert load_module(PipelineSource(root=tmp_path), keep=False).tools.X == 1
    assert (list(sys.path), list(sys.meta_path), list(sys.path_hooks), set(sys.modules)) == before
    assert not [path for path in sys.path_importer_cache if path.startswith(str(tmp_path))]


def test_projects_with_packages_of_one_name_do_not_meet(place: Place, tmp_path: Path) -> None:
    """In one worker: with and without ``__init__.py``, in folders that each put on ``sys.path`` behind all others."""
    text = (
        "import sys\nsys.path.append(__file__.replace('pipeline.py', 'src'))\n"
        "from pack import tools\n@step\ndef a() -> int: return tools.X"
    )
    for number, beside in enumerate(["", "__init__.py", ""]):
        other = Place(tmp_path / f"p{number}", place.engine)
        folder = other.root / "src" / "pack"
        folder.mkdir(parents=True)
        (folder / "tools.py").write_text(f"X = {number}")
        (folder / (beside or "note.txt")).write_text("")
        other.write(text)
        for _ in range(2):  # both workers
            result = other.run(force=["a"])
            assert decode(other.store, result.artifact("a"), workdir=other.root) == number
        other.cache.close()


def test_a_project_behind_a_link_is_captured_by_any_name(place: Place, tmp_path: Path) -> None:
    """``Path(__file__).resolve()`` gives the folder's other name."""
    real = tmp_path / "real"
    (real / "src").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(real)
    other = Place(tmp_path / "linked", place.engine)
    (real / "src" / "tools.py").write_text("X = 1")
    other.write(
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).resolve().parent / 'src'))\n"
        "@step\ndef a() -> int:\n    import tools\n    return tools.X"
    )

    def edit(event: object) -> None:
        (real / "src" / "tools.py").write_text("X = 2")

    result = other.run(on_event=edit)
    assert decode(other.store, result.artifact("a"), workdir=other.root) == 1
    assert decode(other.store, other.run().artifact("a"), workdir=other.root) == 2
    other.cache.close()


def test_a_folder_that_is_a_link_to_another_place_comes_from_the_disk(place: Place, tmp_path: Path) -> None:
    """It is not the project's own, and was not captured."""
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "tools.py").write_text("X = 5")
    other = Place(tmp_path / "project", place.engine)
    (other.root / "shared").symlink_to(tmp_path / "common")
    other.write("from shared import tools\n@step\ndef a() -> int: return tools.X")
    assert decode(other.store, other.run().artifact("a"), workdir=other.root) == 5
    other.cache.close()


def test_a_package_with_a_finder_of_its_own_is_captured(place: Place) -> None:
    """As installers have it for packages in editable mode whose folder has another name."""
    (place.root / "code").mkdir()
    (place.root / "code" / "__init__.py").write_text("X = 1")
    (place.root / "code" / "deep.py").write_text("Y = 1")
    place.write(
        """
        import sys
        from importlib.util import spec_from_file_location
        class Editable:
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                if name == "pack":
                    return spec_from_file_location(name, __file__.replace("pipeline.py", "code/__init__.py"))
        sys.meta_path.append(Editable)
        @step
        def a() -> list:
            import pack
            from pack import deep
            return [pack.X, deep.Y]
        """
    )

    def edit(event: object) -> None:
        (place.root / "code" / "__init__.py").write_text("X = 2")
        (place.root / "code" / "deep.py").unlink(missing_ok=True)

    assert given(place, place.run(on_event=edit), "a") == [1, 1]


def test_code_of_a_package_whose_folder_has_another_name_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in editable mode that its installer's finder knows: a step that reaches a change in it runs again."""
    (place.root / "code").mkdir()
    (place.root / "code" / "__init__.py").write_text("from . import deep")
    (place.root / "code" / "deep.py").write_text("Y = 1\nZ = 1")

    class Editable:
        """As setuptools writes it."""

        @classmethod
        def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            place_of = place.root / "code" / "__init__.py"
            return spec_from_file_location(name, place_of) if name == "pack" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Editable])
    source = PipelineSource(root=place.root)
    place.write(
        """
        import pack
        @step
        def a() -> int: return pack.deep.Y
        @step
        def b() -> int:
            from pack.deep import Z
            return Z
        """
    )

    def code() -> list[object]:
        return [CodeIndex(source).reached("pipeline", name).code for name in ("a", "b")]

    before = code()
    (place.root / "code" / "deep.py").write_text("Y = 2\nZ = 1  # the same")
    after = code()
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True]


def test_a_file_that_appears_during_a_run_waits_for_the_next(place: Place) -> None:
    """Its code is in no fingerprint; who imports it is told."""
    place.write("@step\ndef a() -> int:\n    import made\n    return made.X")

    def appear(event: object) -> None:
        (place.root / "made.py").write_text("X = 1")

    first = place.run(on_event=appear)
    assert first.failure is not None
    assert "made.py appeared after the project's files were captured" in first.failure.message
    assert given(place, place.run(), "a") == 1


def test_what_a_package_brings_along_is_there(place: Place) -> None:
    """Its list of modules is that of then; its data and compiled modules are those of the disk."""
    folder = place.root / "src" / "pack"
    folder.mkdir(parents=True)
    for name in ("__init__", "one", "two"):
        (folder / f"{name}.py").write_text("")
    (folder / "words.txt").write_text("hello")
    place.write(
        """
        import sys
        from pathlib import Path
        sys.path.insert(0, str(Path(__file__).parent / "src"))
        @step
        def a() -> list:
            import inspect, pkgutil, pack
            from importlib.resources import files
            modules = [module.name for module in pkgutil.iter_modules(pack.__path__, "pack.")]
            return [files("pack").joinpath("words.txt").read_text(), modules, inspect.getsource(a).count("getsource")]
        """
    )

    def edit(event: object) -> None:
        (folder / "two.py").unlink(missing_ok=True)
        (folder / "three.py").write_text("")

    assert given(place, place.run(on_event=edit), "a") == ["hello", ["pack.one", "pack.two"], 2]


TWINS = {
    "a copy that was built": (SRC, "build/lib", "src"),
    "src goes first": (SRC, ".", "src"),
    "the project goes first": (LAST, "src", "."),
    "two folders on the path": (f"{LAST}\nsys.path.append(str(HERE / 'also'))", "also", "src"),
}
"""What the pipeline does first, and the folders of two modules of one name, of which the second is imported."""


@pytest.mark.parametrize("twins", TWINS)
def test_the_module_that_counts_is_the_one_that_is_imported(place: Place, twins: str) -> None:
    """Of two of one name; an edit of it runs what uses it again, and one of the other does not."""
    begin, other, meant = TWINS[twins]
    for folder, number in ((other, 0), (meant, 1)):
        (place.root / folder).mkdir(parents=True, exist_ok=True)
        (place.root / folder / "tools.py").write_text(f"X = {number}")
    text = f"import sys\nfrom pathlib import Path\nHERE = Path(__file__).parent\n{begin}\n"
    place.write(f"{text}import tools\n@step\ndef a() -> int: return tools.X")
    assert given(place, place.run(), "a") == 1
    (place.root / meant / "tools.py").write_text("X = 2")
    assert given(place, place.run(), "a") == 2
    (place.root / other / "tools.py").write_text("X = 3")
    assert statuses(place.run()) == {"a": "reused"}


def test_a_pipeline_in_a_folder_counts_by_what_lies_beside_it(place: Place) -> None:
    """Not by modules of the same names in the project's folder, the pipeline's own among them."""
    (place.root / "flows").mkdir()
    place.write("@step\ndef a() -> int: return 0", tools="X = 0")
    write_project(place.root / "flows", "import tools\n@step\ndef a() -> int: return tools.X", tools="X = 1")
    source = PipelineSource(root=place.root, file="flows/pipeline.py")
    before = CodeIndex(source).reached("pipeline", "a").code
    assert set(before) == {"pipeline.a", "tools.X"}
    (place.root / "flows" / "tools.py").write_text("X = 2")
    assert CodeIndex(source).reached("pipeline", "a").code != before


def test_a_step_of_a_package_in_src_counts_by_its_code(place: Place) -> None:
    """The pipeline's file only imports it."""
    folder = place.root / "src" / "pack"
    folder.mkdir(parents=True)
    place.write("import sys\nsys.path.insert(0, __file__.replace('pipeline.py', 'src'))\nfrom pack.steps import a\n")
    for number in (1, 2):
        (folder / "steps.py").write_text(f"from kairos import step\n@step\ndef a() -> int:\n    return {number}\n")
        assert given(place, place.run(), "a") == number


CHILDREN = {
    "multiprocessing": """
    from multiprocessing import get_context
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(tools.late)
    """,
    "fork": """
    from multiprocessing import get_context
    with get_context("fork").Pool(1) as pool:
        return pool.apply(tools.late)
    """,
    "joblib": """
    from joblib import Parallel, delayed
    return Parallel(n_jobs=2)(delayed(tools.late)() for _ in range(2))[0]
    """,
    "a shell": """
    import subprocess
    code = f"import tools; print(tools.{tools.late.__name__}(), end='')"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
    """,
}


@pytest.mark.parametrize("how", CHILDREN)
def test_what_a_step_starts_has_the_captured_modules(place: Place, how: str) -> None:
    """Another Python shares no memory with it, and would look at the disk; one that stays for the next call would have
    the modules of a run before."""

    def write(number: int) -> None:
        late = "def late():\n    import deep\n    return 10 * X + deep.X\n"
        (place.root / "tools.py").write_text(f"X = {number}\n{late}")
        (place.root / "deep.py").write_text(f"X = {number}\n")

    write(1)
    place.write(f"import sys\nimport tools\n@step\ndef a() -> int:{CHILDREN[how]}")
    assert given(place, place.run(on_event=lambda event: write(2)), "a") == 11
    assert given(place, place.run(), "a") == 22


def test_another_python_of_a_step_keeps_what_its_environment_has(place: Place, tmp_path: Path) -> None:
    """Such as a ``sitecustomize`` of its own; it is not told of the project after it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys\nsys.own = 5\n")
    place.write(
        """
        import os, subprocess, sys
        @step
        def a(*, site: str) -> int:
            path = os.pathsep.join([os.environ["PYTHONPATH"], site])
            code = "import sys; print(sys.own)"
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True)
            return int(done.stdout)
        """
    )
    result = place.run(params={"a": {"site": str(tmp_path / "site")}})
    assert given(place, result, "a") == 5


TEAM = "sys.path.append(str(HERE.parent / 'lib'))"
BESIDE = "sys.path.insert(0, str(HERE.parent))"
OTHERS = {
    "a package": (BESIDE, "from common import tools", "from common import later", "common", "__init__"),
    "a package without __init__.py": (BESIDE, "from common import tools", "from common import later", "common", ""),
    "a folder of modules": (TEAM, "import tools, later", "import later", "lib", ""),
}
"""As ``LAYOUTS``, beside the project's folder."""


@pytest.mark.parametrize("layout", OTHERS)
def test_code_beside_the_project_is_captured_as_its_own(place: Place, tmp_path: Path, layout: str) -> None:
    """If the pipeline puts its folder on ``sys.path``: an edit counts, waits for the next run, and the rest of that
    folder is left alone."""
    begin, eager, late, where, beside = OTHERS[layout]
    folder = tmp_path / "work" / where
    folder.mkdir(parents=True)
    (tmp_path / "work" / "unused.py").write_text("raise RuntimeError")
    if beside:
        (folder / f"{beside}.py").write_text("")
    write_modules(folder, 1)
    other = Place(tmp_path / "work" / "project", place.engine)
    other.write(STEPS.format(begin=begin, eager=eager, late=late, name="tools"))
    place.write("from kairos import step\n\n\n@step\ndef one() -> int:\n    return 1\n")
    place.run()  # loads what of Kairos a first run does
    before = set(sys.modules), list(sys.path)
    for number in (1, 2):
        result = other.run(on_event=lambda event, n=number: write_modules(folder, n + 1))  # type: ignore[misc]
        assert result.ok, result.failure
        assert decode(other.store, result.artifact("second"), workdir=other.root) == [number, number]
        captured = fetch(other.store, result.kept.files)  # type: ignore[union-attr]
        assert {name for name in captured.files if name.startswith("../")} == {
            f"../{where}/{file}.py" for file in filter(None, ("tools", "later", beside))
        }
    assert (set(sys.modules), list(sys.path)) == before
    other.cache.close()
