"""Large weights of a compiled form: a file of their own, which every worker of a machine maps and none copies.

ONNX Runtime takes such a file only under the name that the graph gives, from a folder, and through no symbolic link.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["LARGE_BYTES", "WEIGHTS_FILE", "weights_folder"]

LARGE_BYTES = 16_000_000
"""From so many bytes on a model's weights are mapped from their file."""

WEIGHTS_FILE = "kairos/compiled.weights"
"""Beside the compiled form, if it is large."""

_NAME = Path(WEIGHTS_FILE).name


@contextmanager
def weights_folder(weights: Path | bytes) -> Iterator[Path]:
    """Gives a folder where the weights lie under their name; what was mapped from it stays mapped when it is gone.

    A blob of the store has another name: it gets a second one, beside it, while the model is loaded. Where that cannot
    be written, or there is no file, the weights are copied, and not shared.
    """
    if isinstance(weights, Path) and weights.name == _NAME:
        yield weights.parent
        return
    if isinstance(weights, Path):
        try:
            desk = tempfile.mkdtemp(prefix=".kairos-", dir=weights.parent)
        except OSError:  # a store that is mounted to be read only
            desk = None
        if desk is not None:
            try:
                (Path(desk) / _NAME).hardlink_to(weights)
                yield Path(desk)
            finally:
                shutil.rmtree(desk, ignore_errors=True)
            return
    with tempfile.TemporaryDirectory(prefix="kairos-") as folder:
        copy = Path(folder) / _NAME
        if isinstance(weights, Path):
            shutil.copyfile(weights, copy)
        else:
            copy.write_bytes(weights)
        yield Path(folder)
