"""200 files, 200 MB, into an empty store, and once more with nothing changed.

Run: ``python -m benchmarks.store.add``. The row ``md5sum`` is the limit: it reads and hashes, and keeps nothing.
Kairos is called in this process; DVC both so and as the command ``dvc add``. Kairos returns when the bytes have
reached the disk; DVC does not wait for that.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from time import perf_counter

from benchmarks.side_by_side import US, Figure, Sample, Setting, Turn, command, main, take_turns, timed
from kairos.store import Store

FILES, FILE_BYTES = 200, 1_000_000


def measure(setting: Setting) -> list[Figure]:
    """Each turn begins with a copy of the files and an empty store."""
    os.environ.update(setting.environment)  # for DVC in this process
    noise = random.Random(0)
    names = [f"{number:03}.bin" for number in range(5 if setting.quick else FILES)]
    data = setting.folder / "data"
    data.mkdir()
    for name in names:
        (data / name).write_bytes(noise.randbytes(FILE_BYTES))

    def ours() -> Iterator[Sample]:
        with _copied(data) as copy:
            store = Store(copy.parent / "store")
            yield from _twice(lambda: _call(lambda: store.put_folder(copy)))

    def dvc_command() -> Iterator[Sample]:
        with _copied(data) as copy:
            dvc, project = command("dvc"), copy.parent
            timed(setting, dvc, "init", "--quiet", "--no-scm", folder=project)
            yield from _twice(lambda: timed(setting, dvc, "add", "--quiet", "data", folder=project))

    def dvc_in_process() -> Iterator[Sample]:
        from dvc.repo import Repo  # type: ignore[import-untyped]  # loads for a second or two; that is measured by the command

        with _copied(data) as copy, redirect_stdout(StringIO()), Repo.init(str(copy.parent), no_scm=True) as repo:
            yield from _twice(lambda: _call(lambda: repo.add(str(copy))))

    def md5sum() -> Iterator[Sample]:
        yield from _twice(lambda: timed(setting, "md5sum", *names, folder=data))

    contenders: dict[str, Turn] = {US: ours}
    if "dvc" in setting.peers:
        contenders |= {"dvc add": dvc_command, "dvc, in process": dvc_in_process}
    contenders["md5sum (limit)"] = md5sum
    return take_turns(contenders, setting.rounds)


@contextmanager
def _copied(data: Path) -> Iterator[Path]:
    """A copy of the files that has reached the disk, alone in a folder; both are removed."""
    project = data.parent / "project"
    copy = project / "data"
    shutil.copytree(data, copy)
    for path in copy.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    try:
        yield copy
    finally:
        shutil.rmtree(project)


def _twice(add: Callable[[], float]) -> Iterator[Sample]:
    yield Sample("200 MB in 200 files, new", add(), "s")
    yield Sample("the same again, unchanged", add(), "s")


def _call(function: Callable[[], object]) -> float:
    started = perf_counter()
    function()
    return perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main("Storing a folder", ["dvc"], measure, rounds=3))
