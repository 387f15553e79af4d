"""The local engine: the user's code may do what it likes, and the engine stays usable."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kairos.errors import PipelineError, UsageError
from kairos.pipeline.artifacts import decode
from kairos.pipeline.engine.local import LocalEngine, _Lane
from kairos.pipeline.ports import FinishRequest, Task
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.result import Failure, StepEvent
from kairos.values import Digest
from tests.pipeline.projects import Place, write_project


def value(place: Place, text: str, step: str = "a") -> Any:
    """What a step of a project gives."""
    result = place.run(text)
    assert result.ok, result.failure
    return decode(place.store, result.artifact(step), workdir=place.root / "work")


def failure(place: Place, text: str) -> Failure:
    """Why a project fails; the engine must run another step afterwards."""
    result = place.run(text)
    assert result.failure is not None
    assert value(place, "@step\ndef a() -> int: return 1") == 1
    return result.failure


def test_independent_steps_run_at_once(place: Place) -> None:
    """Each of two steps waits for the other one: one after the other they would wait for ever."""
    text = """
        import time
        from pathlib import Path
        def meet(own, other):
            Path(own).touch()
            while not Path(other).exists(): time.sleep(0.01)
        @step
        def a(): meet("a", "b")
        @step
        def b(): meet("b", "a")
    """
    assert place.run(text).ok


def test_steps_that_follow_each_other_have_one_worker(tmp_path: Path) -> None:
    """Another one would load its libraries while the first has nothing to do."""
    text = """
        import os
        @step
        def a(): return [os.getpid()]
        @step
        def b(a): return [*a, os.getpid()]
        @step
        def c(b): return [*b, os.getpid()]
        @step
        def d(c): return [*c, os.getpid()]
    """
    with LocalEngine(workers=2) as engine:
        place = Place(tmp_path, engine)
        assert len(set(value(place, text, step="d"))) == 1
        place.cache.close()


def test_steps_run_in_the_projects_folder_with_its_modules(place: Place) -> None:
    """Files are found by relative paths, own modules by import, also inside a function."""
    (place.root / "data.txt").write_text("7")
    place.write(
        """
        from pathlib import Path
        @step
        def a() -> int:
            import own
            return own.twice(Path('data.txt').read_text())
        """,
        own="def twice(text): return 2 * int(text)",
    )
    result = place.run()
    assert decode(place.store, result.artifact("a"), workdir=place.root) == 14


def test_projects_do_not_see_each_others_modules(place: Place) -> None:
    """Two projects with modules of the same names may share an engine."""
    for number in (1, 2):
        (place.root / str(number)).mkdir()
        other = Place(place.root / str(number), place.engine)
        other.write("import own\n@step\ndef a() -> int: return own.X", own=f"X = {number}")
        result = other.run()
        assert decode(other.store, result.artifact("a"), workdir=other.root) == number
        other.cache.close()


def test_edited_files_are_loaded_again(place: Place) -> None:
    """Also when the edit is in a module that the step imports, and has the same length."""
    for number in (1, 2):
        place.write("import own\n@step\ndef a() -> int: return own.X", own=f"X = {number}")
        result = place.run()
        assert decode(place.store, result.artifact("a"), workdir=place.root) == number


def test_an_edit_during_the_run_waits_for_the_next(place: Place) -> None:
    """What runs is what was captured at the start, also in modules that are imported late, and in a new worker."""
    (place.root / "late.py").write_text("X = 1")
    text = "@step\ndef a() -> int: return 1\n@step\ndef b(a: int) -> list:\n  import late\n  return [a, late.X]\n"

    def edit(event: StepEvent) -> None:
        place.write(text.replace("return 1", "return 2"))
        (place.root / "late.py").write_text("X = 2")

    first = place.run(text, on_event=edit)
    assert decode(place.store, first.artifact("b"), workdir=place.root) == [1, 1]
    assert decode(place.store, place.run().artifact("b"), workdir=place.root) == [2, 2]


def test_tracebacks_show_the_lines_that_ran(place: Place) -> None:
    """Not those that stand in the file by then."""
    text = "@step\ndef a() -> int: raise ValueError('old')\n"
    result = place.run(text, on_event=lambda event: place.write("\n" * 9 + "# something else\n" * 9))
    assert result.failure is not None
    assert "def a() -> int: raise ValueError('old')" in result.failure.traceback


def test_an_exception_keeps_the_users_traceback(place: Place) -> None:
    """From her own first frame on, with the cause; nothing of ours."""
    told = failure(
        place,
        """
        def parse(text):
            try:
                return int(text)
            except ValueError as error:
                raise RuntimeError("bad cell") from error
        @step
        def a() -> int: return parse("x")
        """,
    )
    assert (told.type, told.message) == (
        "RuntimeError",
        "Step 'a' failed (pipeline.py, line 10): RuntimeError: bad cell",
    )
    assert "invalid literal for int" in told.traceback
    assert told.traceback.rstrip().endswith("RuntimeError: bad cell")
    assert "kairos/pipeline/engine" not in told.traceback


DEATHS = {
    "exit": (
        "import sys\n@step\ndef a(): sys.exit(3)",
        "SystemExit",
        "Step 'a' failed (pipeline.py, line 7): SystemExit: 3",
    ),
    "os._exit": (
        "import os\n@step\ndef a(): os._exit(3)",
        "ProcessDied",
        "The process of step 'a' ended with exit code 3",
    ),
    "kill -9": (
        "import os\n@step\ndef a(): os.kill(os.getpid(), 9)",
        "ProcessDied",
        "The process of step 'a' was killed by SIGKILL",
    ),
    "strange exception": (
        "class E(Exception):\n  def __str__(self): raise KeyError('no text')\n@step\ndef a(): raise E",
        "KeyError",
        "no text",
    ),
}


@pytest.mark.parametrize("how", DEATHS)
def test_no_way_to_fail_takes_the_engine_along(place: Place, how: str) -> None:
    """The step fails with a sentence that says how; the next step runs."""
    text, kind, message = DEATHS[how]
    told = failure(place, text)
    assert told.type == kind
    assert message in told.message


def test_an_idle_worker_that_was_killed_is_replaced(tmp_path: Path) -> None:
    """Nobody notices."""
    with LocalEngine(workers=1) as engine:
        place = Place(tmp_path, engine)
        pid = value(place, "import os\n@step\ndef a() -> int: return os.getpid()")
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert value(place, "import os\n@step\ndef a() -> int: return -os.getpid()") != -pid
        place.cache.close()


def test_printing_is_no_answer(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """What steps and their child processes print goes to stderr, and nobody waits for input."""
    text = """
        import os, subprocess, sys
        @step
        def a() -> str:
            print("hello")
            subprocess.run(["echo", "child"], check=True)
            os.write(1, b"raw")
            return sys.stdin.read()
    """
    assert value(place, text) == ""


def test_seeds_are_set(place: Place) -> None:
    """Random numbers depend on the seed alone: not on the worker, the time, or what ran before."""
    text = """
        import random
        import numpy as np
        def draw(): return [random.random(), float(np.random.rand())]
        @step(seed=1)
        def one() -> list: return draw()
        @step(seed=1)
        def again() -> list: return draw()
        @step(seed=2)
        def two() -> list: return draw()
        @step
        def a(one, again, two, *, seed=5) -> list: return [one == again, one == two, seed]
    """
    assert value(place, text) == [True, False, 5]


def test_hashes_are_the_same_in_all_workers(place: Place, tmp_path: Path) -> None:
    """So that the order of a set of texts depends on the set alone."""
    (tmp_path / "other").mkdir()
    with LocalEngine(workers=1) as engine:
        other = Place(tmp_path / "other", engine)
        text = "@step\ndef a() -> int: return hash('spring')"
        assert value(place, text) == value(other, text)
        other.cache.close()


def test_numeric_libraries_use_the_declared_threads(place: Place) -> None:
    """One thread unless more are declared, so that results do not depend on the machine."""
    text = """
        import numpy
        from threadpoolctl import threadpool_info
        def threads(): return sorted({pool["num_threads"] for pool in threadpool_info()})
        @step
        def a() -> list: return threads()
    """
    assert value(place, text) in ([1], [])


def test_a_worker_ignores_modules_of_the_callers_folder(
    tmp_path: Path, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file ``queue.py`` where the command was typed is not what the worker imports."""
    (tmp_path / "queue.py").write_text("raise SystemExit('wrong queue')")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)
    with LocalEngine(workers=1) as own:
        place = Place(Path("project"), own)  # a relative path
        assert value(place, "@step\ndef a() -> int: return 1\n@step\ndef b(a: int) -> int: return a", "b") == 1
        place.cache.close()


def test_a_finisher_that_cannot_travel_is_an_error(place: Place) -> None:
    """It is found where the task is sent, not by waiting for ever."""

    class Local:
        def __call__(self, request: FinishRequest) -> Path:
            return request.workdir

        def also(self, step: str) -> tuple[str, ...]:
            return ()

        def prepare(self, step: str, target: str | None, inputs: object, also: object) -> dict[str, object]:
            return {}

        def facts(self, step: str) -> None:
            return None

    write_project(place.root, "@model(target='y')\ndef a(): return 1")
    task = Task(
        source=PipelineSource(root=place.root),
        code=PipelineSource(root=place.root).capture().keep(place.store),
        store=place.store.root,
        step="a",
        outputs=["a"],
        finish=Local(),
    )
    with pytest.raises(AttributeError, match="Local"):
        place.engine.submit(task).result()


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    """Its task fails at once; a closed engine takes no more."""
    engine = LocalEngine(workers=1)
    place = Place(tmp_path, engine)
    source = write_project(
        tmp_path, "import time\nfrom pathlib import Path\n@step\ndef a():\n  Path('on').touch()\n  time.sleep(600)"
    )
    task = Task(source=source, code=source.capture().keep(place.store), store=place.store.root, step="a", outputs=["a"])
    running, waiting = engine.submit(task), engine.submit(task)
    while not (tmp_path / "on").exists():
        time.sleep(0.01)
    engine.close()
    for outcome in (running, waiting):
        with pytest.raises(PipelineError, match="The engine was closed before step 'a' was done"):
            outcome.result()
    with pytest.raises(UsageError, match="The engine is closed"):
        engine.submit(task)
    place.cache.close()


def test_runs_in_several_threads_share_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks first starts its workers, each of them once: two threads that fed one would mix their answers."""
    source = write_project(tmp_path, "@step\ndef a() -> int: return 1")
    task = Task(source=source, code=Digest("0" * 32), store=tmp_path, step="a", outputs=["a"])
    monkeypatch.setattr(_Lane, "_run", lambda lane: ran.append(lane))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            ran: list[_Lane] = []
            engine, together = LocalEngine(workers=2), threading.Barrier(8)

            def ask(engine: LocalEngine = engine, together: threading.Barrier = together) -> None:
                together.wait()
                engine.submit(task)

            askers = [threading.Thread(target=ask) for _ in range(8)]
            for each in askers:
                each.start()
            for each in askers:
                each.join()
            engine.close()
            assert len(ran) == 2
    finally:
        sys.setswitchinterval(before)


def test_an_engine_needs_workers() -> None:
    """None would wait for ever."""
    with pytest.raises(UsageError, match=r"An engine needs workers\. Given: 0"):
        LocalEngine(workers=0)
