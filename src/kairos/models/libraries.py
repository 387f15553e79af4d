"""Which distributions a package needs, with the versions that it was made with."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from kairos.models.foreign import Foreign
from kairos.models.frames import FrameKind

__all__ = ["libraries_of"]

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""Where a distribution's name is not its import name."""


def libraries_of(estimator: Any, kind: FrameKind, *, has_arrays: bool = False) -> dict[str, str]:
    """Versions of what is needed to load the package, in Kairos or in MLflow.

    Args:
        estimator: Fitted.
        kind: Of the frame that it learnt from.
        has_arrays: Whether arrays are spread over its columns, which only Kairos does.
    """
    if isinstance(estimator, Foreign):
        names = set(estimator.libraries)
    else:
        held = [estimator, *estimator.get_params(deep=True).values()]
        roots = {type(item).__module__.partition(".")[0] for item in held}
        names = {_DISTRIBUTIONS.get(root, root) for root in roots - {"builtins", "__main__"}}
        names |= {"kairos-ml"} if has_arrays else set()
    found: dict[str, str] = {}
    for name in sorted(names | {"mlflow-skinny", "numpy", "pandas", "scikit-learn", "scipy", "skops", kind}):
        try:
            found[name] = metadata.version(name).partition("+")[0]  # no index knows a build such as +cpu
        except metadata.PackageNotFoundError:
            continue  # the project's own module, or a part of the standard library
    return found
