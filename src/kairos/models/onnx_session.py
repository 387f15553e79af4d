"""ONNX Runtime with a graph in it; the only module that loads it, and only where a compiled form is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kairos.errors import PackageError
from kairos.models.weights import LARGE_BYTES, weights_folder

__all__ = ["open_session"]


def open_session(data: bytes, weights: Path | bytes | None, *, file: str) -> Any:
    """A session that runs on one thread of its caller.

    Args:
        data: The graph.
        weights: What does not lie in it; mapped from their own file, if they have one.
        file: Name of the graph in its package, for errors.

    Raises:
        PackageError: ONNX Runtime is not installed, or cannot load the file.
    """
    try:
        import onnxruntime  # only where a compiled form is run: it is 78 MB
    except ImportError as error:
        raise PackageError(
            "The compiled form of a model needs ONNX Runtime.", hint="Type: pip install 'kairos-ml[compiled]'."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more threads wait for each other longer than a row takes
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it cannot load is told by the exception
    if weights is not None or len(data) >= LARGE_BYTES:
        # It would copy each weight into another order, for each worker. Both forms of a large file compute alike.
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        if weights is None:
            return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        with weights_folder(weights) as folder:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
            return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for each cause
        raise PackageError(
            f"The file {file!r} of a model package cannot be loaded.",
            given=f"{type(error).__name__}: {error}",
            file=file,
        ) from error
