"""Batch scoring: a version predicts every row of a table, in little memory, held to what a request is held to."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from kairos.app.batches import BatchLog, id_of
from kairos.app.capturing import capture_policy
from kairos.app.ordering import ranks_of, whole_lists
from kairos.app.packages import open_version
from kairos.app.pieces import Piece, guarded, kinds_of, refuse_structures, said, with_json_texts
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.sinks import form_of_output
from kairos.errors import NotFound, UsageError
from kairos.models.frame_rows import read_frame, why_refused
from kairos.models.outputs import width_of
from kairos.models.package import Package
from kairos.models.ports import Runner
from kairos.pipeline.diff.files import TableFiles
from kairos.values import Digest, Json, VersionRef, plain

__all__ = ["ADDED", "Scored", "score", "version_of"]

ADDED = ("prediction_rank", "prediction_id", "prediction_action", "prediction_refused", "model_version")
"""Columns of the output beside the input's and the predictions; the first only where lists are ranked, the fourth only
where rows may be refused."""

_PIECE_ROWS = 65_536
_AHEAD = 4
"""Pieces that are read while others are predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A finished job."""

    job: str
    version: VersionRef
    package: Digest
    rows: int
    refused: int
    """Rows that do not fit the model's signature."""
    actions: dict[str, int]
    """What the guard did, and to how many rows: ``clip``, ``flag``, ``fallback``, ``refuse``."""
    inputs: tuple[Digest, ...]
    """Of the table's files."""
    output: Digest
    is_captured: bool

    def fact(self) -> dict[str, Json]:
        """What the ledger keeps of it; its subject is the version."""
        told: dict[str, Json] = plain(self)
        return {"captured" if name == "is_captured" else name: told[name] for name in told if name != "version"}


def version_of(project: Project, name: str) -> VersionRef:
    """``MODEL@N``, or the live version of ``MODEL``.

    Raises:
        NotFound: there is no such version, or none is live.
    """
    if "@" in name:
        ref = VersionRef.parse(name)
        return project.state().model(ref.model).version(ref.number).ref
    model = project.state().model(name)
    if model.champion_number is None:
        known = ", ".join(str(ref.ref) for ref in model.versions.values())
        raise NotFound(f"No version of {name!r} is live.", accepted=known, hint=f"Type: kairos predict {name}@N …")
    return VersionRef(name, model.champion_number)


def score(
    project: Project,
    ref: VersionRef,
    table: TableFiles,
    output: Path,
    *,
    columns: Sequence[str] | None = None,
    skips_refused: bool = False,
    captures: bool = True,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Scored:
    """Predicts every row and writes them all, in their order, with what may leave.

    The output is there once it is whole, and so is what is kept of it; then the ledger tells of it.

    Args:
        project: Whose version.
        ref: The version.
        table: Its rows; columns that the model does not know are only copied.
        output: Parquet, CSV, JSON lines or Arrow, by the end of its name; what is there is replaced.
        columns: Of the input, that are copied; ``None``: all.
        skips_refused: Whether a row that does not fit has no prediction; else it ends the job.
        captures: Whether rows are kept, as far as the model's privacy settings allow.
        on_rows: Told how many rows are done.

    Raises:
        InputRefused: a row does not fit; ``facts`` hold ``row``, from the table's first one on, and ``field``.
        UsageError: a column of the input would be overwritten, or the output has no known form or place.
        StoreError: the table cannot be read.
        PackageError: the version cannot be loaded.
    """
    job = _Job(project, ref, table, output, columns, skips_refused)
    at = project.clock.now()
    inputs = tuple(_digest(path) for path in table.paths)
    name = "b" + hashlib.sha256(f"{job.digest} {inputs} {at.isoformat()} {os.getpid()}".encode()).hexdigest()[:16]
    policy = capture_policy(project, job.model.privacy, job.package.spec.signature)
    log = (
        BatchLog(
            project, name, version=ref, model=job.model, signature=job.package.spec.signature, policy=policy, at=at
        )
        if captures
        else None
    )
    making = output.with_name(f".{output.name}.{name}.tmp")
    try:
        job.write(name, making, log, on_rows)
        digest = _digest(making)
        if log is not None:
            log.finish()
        os.replace(making, output)
    except BaseException:
        making.unlink(missing_ok=True)
        if log is not None:
            log.drop()
        raise
    scored = Scored(
        job=name,
        version=ref,
        package=job.digest,
        rows=job.rows,
        refused=job.refused,
        actions=dict(sorted(job.actions.items())),
        inputs=inputs,
        output=digest,
        is_captured=captures,
    )
    project.tell("batch.scored", subject=str(ref), body=scored.fact())
    return scored


class _Job:
    """One table on its way through one version."""

    def __init__(
        self,
        project: Project,
        ref: VersionRef,
        table: TableFiles,
        output: Path,
        columns: Sequence[str] | None,
        skips_refused: bool,
    ) -> None:
        self._form = form_of_output(output, table.paths)
        self.model: ModelSettings = project.settings.model(ref.model)
        self.digest = project.state().model(ref.model).version(ref.number).package
        self.package: Package = open_version(project, self.digest, self.model)
        self.rows = self.refused = 0
        self.actions: Counter[str] = Counter()
        self._ref, self._skips = ref, skips_refused
        kinds = ("category", "text", "array") if table.format == "csv" else ("category", "text")
        texts = {each.name for each in self.package.spec.signature.columns if each.kind in kinds}
        self._table = replace(table, texts=frozenset(texts.intersection(table.schema().names())))
        self._schema = self._table.schema()
        self._outputs = self.package.spec.signature.outputs
        within = self.package.spec.rank_within
        self._list = within if within in self._schema else None
        self._copied = _copied(self._schema, columns, [*kinds_of(self._outputs), *self._added])
        if self._form == "csv":
            refuse_structures(self._schema, self._copied)
        self._runner: Runner = self.package.runner()
        self._threads = max(os.cpu_count() or 1, 1)

    @property
    def _added(self) -> list[str]:
        without = {"prediction_rank"} if self._list is None else set()
        without |= set() if self._skips else {"prediction_refused"}
        return [name for name in ADDED if name not in without]

    def write(self, job: str, place: Path, log: BatchLog | None, on_rows: Callable[[int], None]) -> None:
        """Writes the whole output; a piece is predicted while others are read and written."""
        schema: dict[str, Any] = {name: self._schema[name] for name in self._copied}
        if self._form == "csv":
            schema |= {name: pl.String() for name in self._copied if self._schema[name].is_nested()}
        schema |= {**kinds_of(self._outputs), **dict.fromkeys(self._added, pl.String)}
        schema |= {} if self._list is None else {"prediction_rank": pl.Int64}

        def pieces(*_: Any) -> Iterator[pl.DataFrame]:
            for piece in self._pieces(log):
                self._count(piece)
                yield self._rows(job, piece)
                on_rows(self.rows)

        rows = register_io_source(pieces, schema=pl.Schema(schema), is_pure=False)
        match self._form:
            case "parquet":
                rows.sink_parquet(place, compression_level=1, engine="streaming")
            case "csv":
                rows.sink_csv(place, engine="streaming")
            case "jsonl":
                rows.sink_ndjson(place, engine="streaming")
            case "arrow":
                rows.sink_ipc(place, engine="streaming")

    def _pieces(self, log: BatchLog | None) -> Iterator[Piece]:
        """Every piece in the table's order."""
        waiting: deque[Future[Piece]] = deque()
        with ThreadPoolExecutor(self._threads, "kairos-batch") as pool:
            try:
                first = 0
                for frame in self._frames():
                    waiting.append(pool.submit(self._predict, frame, first, log))
                    first += frame.height
                    while len(waiting) >= _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _frames(self) -> Iterator[pl.DataFrame]:
        """The table's rows, some at a time; of what is ranked whole lists."""
        slices = (frame for batch in self._table.batches() for frame in batch.iter_slices(_PIECE_ROWS))
        return slices if self._list is None else whole_lists(slices, self._list)

    def _predict(self, frame: pl.DataFrame, first: int, log: BatchLog | None) -> Piece:
        signature = self.package.spec.signature
        read = read_frame(signature, frame, has_array_texts=self._table.format == "csv")
        if read.refused and not self._skips:
            row, name = min(read.refused.items())
            raise why_refused(signature, frame, row, name, first_row=first)
        width = (width_of(self._outputs),) if self._outputs else ()
        raws = np.full((frame.height, *width), np.nan)
        if len(read.accepted):
            raws[read.accepted] = self._runner.predict(read.columns)
        refusals: list[str | None] = [None] * frame.height
        for row, name in read.refused.items():
            refusals[row] = name
        outputs, violations, actions = guarded(self.model.output, self._outputs, raws, read.accepted)
        piece = Piece(
            frame=frame,
            first_row=first,
            raws=raws,
            outputs=outputs,
            violations=violations,
            actions=actions,
            refusals=refusals,
        )
        if log is not None:
            log.write(piece)
        return piece

    def _count(self, piece: Piece) -> None:
        self.rows += piece.frame.height
        self.refused += sum(each is not None for each in piece.refusals)
        self.actions.update(each for each in piece.actions if each is not None)

    def _rows(self, job: str, piece: Piece) -> pl.DataFrame:
        first, count = piece.first_row, piece.frame.height
        added: dict[str, Any] = {
            "prediction_rank": None
            if self._list is None
            else ranks_of(piece.frame, self._list, pl.Series(piece.outputs)),
            "prediction_id": pl.Series([id_of(job, row) for row in range(first, first + count)]),
            "prediction_action": pl.Series(piece.actions, dtype=pl.String),
            "prediction_refused": pl.Series(piece.refusals, dtype=pl.String),
            "model_version": pl.lit(str(self._ref)),
        }
        copied = piece.frame.select(self._copied)
        return (with_json_texts(copied) if self._form == "csv" else copied).with_columns(
            **said(self._outputs, piece.outputs), **{name: added[name] for name in self._added}
        )


def _copied(schema: pl.Schema, columns: Sequence[str] | None, added: Sequence[str]) -> list[str]:
    wanted = schema.names() if columns is None else list(columns)
    unknown = [name for name in wanted if name not in schema]
    if unknown:
        raise NotFound(f"The table has no column {unknown[0]!r}.", accepted=", ".join(schema.names()))
    twice = [name for name in wanted if name in added]
    if twice:
        raise UsageError(
            f"The table has a column {twice[0]!r} already, which the output would have as well.",
            hint="Type --columns with those that are to be copied.",
        )
    return wanted


def _digest(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest(hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest())
