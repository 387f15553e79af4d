"""What servers keep in memory does not outlast them for long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kairos.serving.memory import memory_folder

HOLDS = """
import sys
from pathlib import Path
from kairos.serving.memory import memory_folder
with memory_folder(Path(sys.argv[1])) as folder:
    (folder / "beats").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Not what a living one uses, and not what is none of a server's."""
    stranger = tmp_path / "kairos-server-of-somebody"
    stranger.mkdir()
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDS, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        dead, living = (Path(each.stdout.readline().strip()) for each in holders if each.stdout)
        holders[0].kill()
        holders[0].wait()
        with memory_folder(tmp_path) as own:
            assert sorted(tmp_path.iterdir()) == sorted([stranger, living, own])
            assert (living / "beats").exists()
        assert sorted(tmp_path.iterdir()) == sorted([stranger, living])
        assert dead.parent == tmp_path
    finally:
        for each in holders:
            each.kill()
            each.communicate()
