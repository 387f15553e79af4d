"""The cache knows what was computed; nothing that happens to its file makes it lie."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kairos.errors import PipelineError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.fingerprint import Fingerprint
from kairos.values import Digest

WRITER = """
import sys
from pathlib import Path
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import StepCache
from kairos.pipeline.fingerprint import Fingerprint
name, count = sys.argv[2], int(sys.argv[3])
cache = StepCache(Path(sys.argv[1]))
for number in range(count):
    made = Fingerprint(step=name, params={"n": number})
    cache.put(name, made, [Artifact(name=name, digest="0" * 32, kind="json", meta={"n": number})])
    print(number, flush=True)
"""


def made(step: str, number: int) -> Fingerprint:
    """A computation."""
    return Fingerprint(step=step, params={"n": number})


def output(number: int) -> Artifact:
    """Its result."""
    return Artifact(name="a", digest=Digest("0" * 32), kind="json", meta={"n": number})


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    """A process that puts results and prints the number of each when it is put."""
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_results_are_known_by_fingerprint(tmp_path: Path) -> None:
    """An unknown fingerprint is ``None``; a result without outputs is not."""
    cache = StepCache(tmp_path / "new" / "cache.db")
    assert cache.get(made("a", 1).digest) is None
    cache.put("a", made("a", 1), [output(1)])
    cache.put("a", made("a", 2), [])
    cache.close()
    again = StepCache(tmp_path / "new" / "cache.db")
    assert again.get(made("a", 1).digest) == Known((output(1),), None)
    assert again.get(made("a", 2).digest) == Known((), None)
    again.close()


def test_the_time_of_a_pull_is_kept(tmp_path: Path) -> None:
    """To the microsecond; a later pull takes the place of an earlier one."""
    cache = StepCache(tmp_path / "cache.db")
    for day in (1, 2):
        at = datetime(2011, 1, day, microsecond=7, tzinfo=UTC)
        cache.put("a", made("a", 1), [output(day)], pulled_at=at)
        assert cache.get(made("a", 1).digest) == Known((output(day),), at)
    cache.close()


def test_a_file_without_the_times_of_pulls_is_read(tmp_path: Path) -> None:
    """What it knows is still known; when it was pulled is not."""
    path = tmp_path / "cache.db"
    cache = StepCache(path)
    cache.put("a", made("a", 1), [output(1)], pulled_at=datetime(2011, 1, 1, tzinfo=UTC))
    cache.close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE results DROP COLUMN pulled_at")
    for _ in range(2):
        again = StepCache(path)
        assert again.get(made("a", 1).digest) == Known((output(1),), None)
        again.close()


def test_the_last_computation_of_a_place_is_the_one_put_last(tmp_path: Path) -> None:
    """Putting an old one again makes it the last."""
    cache = StepCache(tmp_path / "cache.db")
    assert cache.last("a") is None
    for number in (1, 2, 1):
        cache.put("a", made("a", number), [output(number)])
    cache.put("b", made("b", 3), [])
    assert cache.last("a") == made("a", 1)
    cache.close()


def test_two_processes_may_use_it_at_once(tmp_path: Path) -> None:
    """Also when both make the file; no result is lost."""
    path = tmp_path / "cache.db"
    writers = [writer(path, name, 100) for name in ("a", "b", "c")]
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    cache = StepCache(path)
    assert all(cache.get(made(name, number).digest) for name in ("a", "b", "c") for number in range(100))
    cache.close()


def test_kill_9_loses_nothing_that_was_put(tmp_path: Path) -> None:
    """The file stays sound, and what was acknowledged is there."""
    path = tmp_path / "cache.db"
    acknowledged = 0
    for upto in (20, 40, 60):
        with writer(path, "a", 100_000) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) == upto:
                    process.kill()
                    break
        acknowledged = upto
        cache = StepCache(path)
        assert all(cache.get(made("a", number).digest) for number in range(acknowledged + 1))
        cache.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """It can be deleted: results are made again."""
    (tmp_path / "cache.db").write_bytes(b"no database" * 100)
    with pytest.raises(PipelineError, match=r"The cache cache.db cannot be used.*Delete it: steps then run again"):
        StepCache(tmp_path / "cache.db")
