"""A virtual environment for each peer that cannot, or need not, share ours; made when it is first asked for.

They lie in ``build/peers``. One is made again when its pins change: remove the folder to make it anew.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.serving.servers import ROOT

__all__ = ["PINS", "NotInstalled", "environment"]

PINS = {
    "fastapi": ("fastapi==0.165.0", "uvicorn[standard]==0.54.0"),
    # uvloop: 0.22 took away what this version of MLServer calls; FastAPI: MLServer says below 0.116
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0"),
    "bentoml": ("bentoml==1.4.40",),
}
"""What users ask of a registry; what these need besides is as new as they allow."""

SHARED = ("scikit-learn", "numpy", "lightgbm", "polars")
"""What the model's file needs: the versions that it was written with."""


class NotInstalled(Exception):
    """A peer that cannot be had here, with what was said."""


def environment(name: str) -> Path:
    """The folder of commands of a peer's environment.

    Raises:
        NotInstalled: it cannot be made, as where no registry is reached.
    """
    folder = ROOT / "build" / "peers" / name
    pins = (*PINS[name], *(f"{each}=={version(each)}" for each in SHARED))
    made, wanted = folder / "pins.txt", "\n".join(pins) + "\n"
    if not made.is_file() or made.read_text() != wanted:
        made.unlink(missing_ok=True)
        for words in _making(folder, pins):
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                raise NotInstalled(f"{' '.join(words[:4])} ...: {done.stderr.strip()[-600:]}")
        made.write_text(wanted)
    return folder / "bin"


def _making(folder: Path, pins: tuple[str, ...]) -> list[list[str]]:
    python, uv = str(folder / "bin" / "python"), Path(sys.executable).parent / "uv"
    if uv.is_file():
        return [
            [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *pins],
        ]
    return [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [python, "-m", "pip", "install", "--quiet", *pins],
    ]
