"""What a step returned, stored by content: how each kind of value becomes bytes and comes back.

Values that are stored: tables of Polars and pandas, numpy arrays without objects, JSON-like values with their Python
types, text, bytes, and the files or folders that a ``Path`` points to. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kairos.errors import OutputError, UsageError
from kairos.pipeline.checks import STORABLE
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.typed import typed, untyped
from kairos.store import Store
from kairos.values import Digest, Json, canonical_json

__all__ = ["Artifact", "Kind", "decode", "encode", "encode_package"]

Kind = Literal["table/polars", "table/pandas", "array", "json", "text", "bytes", "file", "folder", "package"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored output of a step."""

    name: str
    """``features`` or ``split.train``."""
    digest: Digest
    kind: Kind
    meta: Mapping[str, Json] = field(default_factory=dict)
    """Facts about the value: rows, columns, shape; for pandas also what Parquet does not keep."""

    @property
    def identity(self) -> str:
        """What a fingerprint holds of it: ``KIND:DIGEST:META``. Equal identities decode to equal values."""
        meta = hashlib.sha256(canonical_json(self.meta)).hexdigest()[:16]
        return f"{self.kind}:{self.digest}:{meta}"

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {"name": self.name, "digest": self.digest, "kind": self.kind, "meta": dict(self.meta)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Json]) -> Artifact:
        """Undoes ``plain``."""
        return cls(**plain)


def encode(store: Store, value: object, *, name: str) -> Artifact:
    """Stores a value and returns its artifact.

    Args:
        store: Where the bytes go.
        value: What a step returned, or a field of it.
        name: The artifact's name.

    Raises:
        OutputError: a value of this type cannot be stored and read back.
    """
    if _is_frame(value):
        from kairos.pipeline.frames import encode_frame  # loads Polars, which a run without tables does not need

        return encode_frame(store, value, name=name)
    if isinstance(value, Rows):
        return _encode_rows(store, value, name)
    if _comes_from(value, "numpy") and type(value).__name__ == "ndarray":
        return _encode_array(store, value, name)
    if isinstance(value, str):
        return Artifact(name=name, digest=store.put_bytes(_utf8(value, name)), kind="text", meta={"length": len(value)})
    if isinstance(value, (bytes, bytearray)):
        return Artifact(name=name, digest=store.put_bytes(bytes(value)), kind="bytes", meta={"length": len(value)})
    if isinstance(value, Path):
        return _encode_path(store, value, name)
    try:
        data = json.dumps(typed(value), ensure_ascii=False, separators=(",", ":")).encode()
    except (UsageError, RecursionError) as error:
        raise _refusal(name, value, error) from None
    return Artifact(name=name, digest=store.put_bytes(data), kind="json")


def encode_package(store: Store, folder: Path, *, name: str) -> Artifact:
    """Stores a model package's folder."""
    return Artifact(name=name, digest=store.put_folder(folder), kind="package")


def decode(store: Store, artifact: Artifact, *, workdir: Path) -> Any:
    """Reads a value back; files and folders are put below ``workdir`` and given as a ``Path``.

    Raises:
        BlobMissing: the store does not hold it.
        BlobDamaged: its bytes are not what they were.
    """
    match artifact.kind:
        case "table/polars" | "table/pandas":
            from kairos.pipeline.frames import decode_frame  # as above

            return decode_frame(store, artifact)
        case "array":
            import numpy as np

            return np.load(io.BytesIO(store.get_bytes(artifact.digest, verify=True)), allow_pickle=False)
        case "json":
            return untyped(json.loads(store.get_bytes(artifact.digest, verify=True)))
        case "text":
            return store.get_bytes(artifact.digest, verify=True).decode()
        case "bytes":
            return store.get_bytes(artifact.digest, verify=True)
        case "file" | "folder" | "package":
            target = workdir / artifact.name / str(artifact.meta.get("name", "package"))
            store.checkout(artifact.digest, target)
            return target


def _encode_rows(store: Store, rows: Rows, name: str) -> Artifact:
    with tempfile.TemporaryDirectory(prefix="kairos-") as folder:
        path = Path(folder, "rows.parquet")
        count, columns = rows.write(path)
        digest = store.put_file(path)
    return Artifact(name=name, digest=digest, kind="table/polars", meta={"rows": count, "columns": columns})


def _encode_array(store: Store, value: Any, name: str) -> Artifact:
    import numpy as np

    if value.dtype.hasobject:
        raise _refusal(name, value, "an array of Python objects")
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    meta = {"shape": list(value.shape), "dtype": str(value.dtype)}
    return Artifact(name=name, digest=store.put_bytes(buffer.getvalue()), kind="array", meta=meta)


def _encode_path(store: Store, path: Path, name: str) -> Artifact:
    if path.is_file():
        return Artifact(name=name, digest=store.put_file(path), kind="file", meta={"name": path.name})
    if path.is_dir():
        return Artifact(name=name, digest=store.put_folder(path), kind="folder", meta={"name": path.name})
    raise OutputError(f"{_of(name)} is a Path, and there is nothing at it.", given=path.name, accepted=STORABLE)


def _utf8(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _refusal(name, text, error) from None


def _is_frame(value: object) -> bool:
    return type(value).__name__ == "DataFrame" and (_comes_from(value, "polars") or _comes_from(value, "pandas"))


def _comes_from(value: object, package: str) -> bool:
    return type(value).__module__.partition(".")[0] == package


def _refusal(name: str, value: object, reason: object) -> OutputError:
    kind = type(value)
    hint = f"({reason})" if kind.__module__ == "builtins" or "numpy" in kind.__module__ else None
    if kind.__module__.startswith("polars") and kind.__name__ == "LazyFrame":
        hint = "Return frame.collect()."
    elif hasattr(value, "_fields"):
        hint = f"Annotate the step: def {name}(...) -> {kind.__name__}."
    elif kind.__module__.partition(".")[0] in ("sklearn", "lightgbm", "xgboost"):
        hint = "Return an estimator from a @model."
    return OutputError(
        f"{_of(name)} cannot be stored.", given=f"{kind.__module__}.{kind.__qualname__}", accepted=STORABLE, hint=hint
    )


def _of(name: str) -> str:
    step, _, field_name = name.partition(".")
    return f"Field {field_name!r} of what step {step!r} returned" if field_name else f"What step {step!r} returned"
