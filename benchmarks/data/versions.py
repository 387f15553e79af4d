"""Versions of many small files and of one large: Kairos beside ``dvc``, and beside what any of them has to do.

Run: ``python -m benchmarks.data.versions``. The rows ``limit`` are a loop that reads each file, names it by its MD5 and
writes a copy, and for what did not change one that asks the system about each file. Kairos is called in this process
and as the command; DVC both so. Kairos returns when the bytes have reached the disk; nobody else waits for that.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from time import perf_counter

from benchmarks.side_by_side import US, Figure, Sample, Setting, Turn, command, main, take_turns, timed
from kairos.store.blobs import Store
from kairos.store.difference import changes
from kairos.store.pointers import prepare_dvc, read_pointer, track


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Files to version."""

    files: int
    bytes_each: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        size = f"{self.bytes_each >> 20} MiB" if self.bytes_each >= 1 << 20 else f"{self.bytes_each >> 10} KiB"
        return f"{self.files:,} file{'s' * (self.files > 1)} of {size}"


CASES = {
    "some": Case(files=10_000, bytes_each=10 << 10),
    "many": Case(files=100_000, bytes_each=1 << 10),
    "large": Case(files=1, bytes_each=2 << 30),
}


def measure(setting: Setting) -> list[Figure]:
    """Each turn begins with files that were just written, and an empty store."""
    os.environ.update(setting.environment)  # for DVC in this process
    cases = [CASES[name] for name in setting.options["case"] or (CASES if setting.is_long else ["some"])]
    if setting.quick:
        cases = [Case(files=200, bytes_each=1 << 10)]
    figures: list[Figure] = []
    for case in cases:
        contenders: dict[str, Turn] = {US: partial(_ours, setting, case)}
        if "dvc" in setting.peers:
            contenders["dvc"] = partial(_dvc, setting, case)
        contenders["limit"] = partial(_limit, setting, case)
        figures += take_turns(contenders, setting.rounds)
    return figures


def _ours(setting: Setting, case: Case) -> Iterator[Sample]:
    project = _planted(setting, case)
    store, data = Store(project / ".dvc" / "cache"), project / "data"
    (project / "kairos.toml").write_text('[project]\nname = "p"\npipeline = "p.py"\n')
    prepare_dvc(project)
    kairos = partial(timed, setting, command("kairos"), "data", folder=project)
    yield Sample(f"{case.name}: first add", _took(lambda: track(store, data)), "s")

    def look() -> int:
        return sum(1 for _ in changes(store, data, read_pointer(project / "data.dvc").digest))

    yield Sample(f"{case.name}: nothing changed, in this process", _took(look), "s")
    yield Sample(f"{case.name}: nothing changed, add again", _took(lambda: track(store, data)), "s")
    yield Sample(f"{case.name}: nothing changed, the command", kairos("status"), "s")
    if case.files > 1:
        _change(data, case)
        yield Sample(f"{case.name}: 1 % changed, add", _took(lambda: track(store, data)), "s")
        for link in ("hardlink", "copy"):
            shutil.rmtree(data)
            put = partial(store.checkout, link=link, remembers=True)
            took = _took(partial(put, read_pointer(project / "data.dvc").digest, data))
            yield Sample(f"{case.name}: checkout, {link}", took, "s")
    yield Sample(f"{case.name}: memory at most", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, "MB")
    shutil.rmtree(project)


def _dvc(setting: Setting, case: Case) -> Iterator[Sample]:
    from dvc.repo import Repo  # type: ignore[import-untyped]  # loads for a second or two; that is measured by the command

    project = _planted(setting, case)
    data, dvc = project / "data", partial(timed, setting, command("dvc"), folder=project)
    dvc("init", "--quiet", "--no-scm")
    with redirect_stdout(StringIO()), Repo(str(project)) as repo:
        yield Sample(f"{case.name}: first add", _took(lambda: repo.add(str(data))), "s")
        yield Sample(f"{case.name}: nothing changed, in this process", _took(repo.status), "s")
        yield Sample(f"{case.name}: nothing changed, add again", _took(lambda: repo.add(str(data))), "s")
        yield Sample(f"{case.name}: nothing changed, the command", dvc("status", "--quiet"), "s")
        if case.files > 1:
            _change(data, case)
            yield Sample(f"{case.name}: 1 % changed, add", _took(lambda: repo.add(str(data))), "s")
    if case.files > 1:
        for link in ("hardlink", "copy"):
            dvc("config", "cache.type", link)
            shutil.rmtree(data)
            with redirect_stdout(StringIO()), Repo(str(project)) as repo:
                yield Sample(f"{case.name}: checkout, {link}", _took(repo.checkout), "s")
    shutil.rmtree(project)


def _limit(setting: Setting, case: Case) -> Iterator[Sample]:
    project = _planted(setting, case)
    data, copies = project / "data", project / "copies"
    copies.mkdir()
    yield Sample(f"{case.name}: first add", _took(lambda: _read_name_write(data, copies)), "s")

    def look() -> None:
        with os.scandir(data) as entries:
            for entry in entries:
                entry.stat()

    yield Sample(f"{case.name}: nothing changed, in this process", _took(look), "s")
    if case.files > 1:
        shutil.rmtree(data)
        data.mkdir()
        yield Sample(f"{case.name}: checkout, hardlink", _took(lambda: _link(copies, data)), "s")
    shutil.rmtree(project)


def _read_name_write(data: Path, copies: Path) -> None:
    with os.scandir(data) as entries:
        for entry in entries:
            md5 = hashlib.md5(usedforsecurity=False)
            with open(entry.path, "rb") as source, open(copies / entry.name, "wb") as copy:
                while piece := source.read(1 << 20):
                    md5.update(piece)
                    copy.write(piece)


def _link(copies: Path, data: Path) -> None:
    with os.scandir(copies) as entries:
        for entry in entries:
            os.link(entry.path, data / entry.name)


def _planted(setting: Setting, case: Case) -> Path:
    """A folder ``data`` in a project, whose bytes have reached the disk."""
    project = setting.folder / "project"
    data = project / "data"
    data.mkdir(parents=True)
    for number in range(case.files):
        with open(data / f"{number:06}", "wb") as file:
            for _ in range(0, case.bytes_each, 64 << 20):
                file.write(os.urandom(min(case.bytes_each, 64 << 20)))
    subprocess.run(["sync", "-f", str(data)], check=True)
    return project


def _change(data: Path, case: Case) -> None:
    for number in range(0, case.files, 100):
        (data / f"{number:06}").write_bytes(os.urandom(case.bytes_each))
    subprocess.run(["sync", "-f", str(data)], check=True)


def _took(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _options(parser: argparse.ArgumentParser) -> None:
    which = "10,000 files, 100,000 files, or one large; default: some, and with --long all"
    parser.add_argument("--case", choices=CASES, action="append", default=[], help=which)


if __name__ == "__main__":
    raise SystemExit(main("Versions of data", ["dvc"], measure, rounds=3, options=_options))
