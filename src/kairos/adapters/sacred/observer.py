"""An observer for Sacred: what runs is written down beside the project's facts, and becomes a fact when it ends."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from itertools import count
from pathlib import Path

from sacred.observers import FileStorageObserver

from kairos.errors import NotFound

__all__ = ["KairosObserver"]


class KairosObserver(FileStorageObserver):  # type: ignore[misc]  # Sacred has no types
    """Reports the runs of an experiment to a project: ``ex.observers.append(KairosObserver())``.

    While a run goes on, its files are in ``.kairos/sacred``: start, heartbeats, metrics, output and artifacts as they
    come. When it ends, they are imported as ``kairos import sacred`` does it, and removed. Those of a process that was
    killed, or of a project that could not be reached, stay and can be imported later; the experiment goes on.

    Args:
        project: The project's folder, or one inside it.

    Raises:
        NotFound: no project is there.
    """

    def __init__(self, project: str | Path = ".") -> None:
        start = Path(project).absolute()
        found = next((each for each in (start, *start.parents) if (each / "kairos.toml").is_file()), None)
        if found is None:
            raise NotFound(
                "There is no project to report to.",
                given=str(start),
                accepted="a folder with kairos.toml, or one inside it",
                hint="Type: KairosObserver('PATH/TO/PROJECT')",
            )
        self.project = found
        super().__init__(found / ".kairos" / "sacred")

    def join(self) -> None:
        """Called by Sacred when all is over, however it ended."""
        if self.run_entry["status"] in ("RUNNING", "QUEUED"):
            return
        command = [sys.executable, "-m", "kairos.cli", "-C", str(self.project), "import", "sacred", self.dir]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            warnings.warn(
                f"The run could not be reported to Kairos: {done.stderr.strip()} Type: {' '.join(command[2:])}",
                stacklevel=2,
            )
            return
        for path in Path(self.dir).iterdir():  # the folder itself keeps its number from being used again
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _make_run_dir(self, _id: str | int | None) -> None:
        """A new folder, also where another observer has used the number that this one used before."""
        base = Path(self.basedir)
        base.mkdir(parents=True, exist_ok=True)
        first = str(self._maximum_existing_run_id() + 1 if _id is None else _id).replace("/", "_")
        for number in count(1):
            place = base / (first if number == 1 else f"{first}-{number}")
            try:
                place.mkdir()
            except FileExistsError:
                continue
            self.dir = str(place)
            return
