"""Looking at what a run makes while it runs: a check that fails stops it before anything downstream begins."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kairos.app.project import Project
from kairos.errors import DataRefused
from kairos.ledger import latest_first
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.data_checks.values import Checked, DataChecks
from kairos.values import Digest, Json, Window, plain

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DataCheck", "Inspector", "log_checks"]

_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck:
    """One check that was made during a run; part of the run's fact."""

    artifact: str
    check: str
    verdict: str
    stops: bool
    """Whether it would stop the run; else it warns."""
    what: str
    columns: tuple[str, ...] = ()
    rows: int = 0
    kept: Digest | None = None
    """The table of rows that break it, for ``kairos data show``."""

    @property
    def warning(self) -> str | None:
        """What to tell of a check that stopped nothing; ``None``: it passed, or its failure stopped the run."""
        if self.verdict == "pass" or (self.verdict == "fail" and self.stops):
            return None
        look = f" Look at the rows: kairos data show {self.kept}" if self.kept else ""
        return f"{'warning' if self.verdict == 'fail' else 'no verdict yet'}: {self.what}{look}"

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        told: dict[str, Json] = plain(self)
        return told


def log_checks(checks: Sequence[DataCheck]) -> None:
    """Logs the checks that warn, and those without a verdict; for runs that nobody watches."""
    for check in checks:
        if check.warning is not None:
            level = logging.WARNING if check.verdict == "fail" else logging.INFO
            logging.getLogger("kairos.data").log(level, "%s", check.warning)


class Inspector:
    """Makes the checks that a project asks for, of each artifact as it is there, made or reused.

    Args:
        project: Whose settings, store and past runs.
        window: Of the run.
    """

    def __init__(self, project: Project, window: Window) -> None:
        self._project, self._window = project, window
        self.made: list[DataCheck] = []
        """In the order in which they were made."""

    def __call__(self, outputs: Sequence[Artifact]) -> None:
        """Looks at what a step gave.

        Raises:
            DataRefused: a check that is to stop the run failed; all checks of these artifacts are in ``made``.
        """
        checks = self._project.settings.data
        failed: list[DataCheck] = []
        for artifact in outputs:
            if artifact.name in checks:
                found = [
                    self._told(checks[artifact.name], each) for each in self._look(checks[artifact.name], artifact)
                ]
                self.made += found
                failed += [each for each in found if each.verdict == "fail" and each.stops]
        if failed:
            kept = [f"kairos data show {each.kept}" for each in failed if each.kept]
            step = outputs[0].name.partition(".")[0]
            raise DataRefused(
                " ".join(each.what for each in failed),
                hint=f"{'Look at the rows: ' + '; '.join(kept) + '. ' if kept else ''}Nothing after {step!r} was run. "
                f"Once its data are repaired: kairos run --force {step}",
                columns=sorted({name for each in failed for name in each.columns}),
            )

    def _look(self, asked: DataChecks, artifact: Artifact) -> Sequence[Checked]:
        if not artifact.kind.startswith("table/"):
            raise DataRefused(
                f"kairos.toml asks for checks of {artifact.name!r}, which is no table.", given=artifact.kind
            )
        import polars as pl

        from kairos.pipeline.data_checks.look import look

        return list(
            look(
                asked,
                pl.scan_parquet(self._project.store.path(artifact.digest), glob=False),
                until=min(self._window.end, self._project.clock.now()),
                window=self._window,
                past_per_day=self._past_per_day(artifact.name) if asked.volume is not None else (),
                reference=self._reference(asked) if asked.distance is not None else None,
            )
        )

    def _told(self, asked: DataChecks, found: Checked) -> DataCheck:
        kept = None
        if found.bad is not None:
            from kairos.store.tables import write_table

            kept = write_table(self._project.store, found.bad)
        return DataCheck(
            artifact=asked.artifact,
            check=found.check,
            verdict=found.verdict,
            stops=found.check not in asked.warn,
            what=found.what,
            columns=found.columns,
            rows=found.rows,
            kept=kept,
        )

    def _past_per_day(self, name: str) -> list[float]:
        """Rows a day in the last runs that finished."""
        found: list[float] = []
        for entry in latest_first(self._project.ledger, kinds=["run.finished"]):
            days = Window.parse(entry.body["window"]).days
            rows = _meta(entry.body, name).get("rows")
            if rows is not None and days:
                found.append(rows / days)
            if len(found) == _RUNS:
                break
        return found[::-1]

    def _reference(self, asked: DataChecks) -> pl.LazyFrame | None:
        from kairos.app.diffing import scratch
        from kairos.app.tables import find_table

        if asked.reference is not None:
            inside = self._project.root / asked.reference
            with scratch(self._project) as workdir:
                found = find_table(self._project, str(inside) if inside.exists() else asked.reference, workdir=workdir)
                return found.scan().collect().lazy()  # what Git gave is gone with the folder
        known = (
            output["digest"]
            for entry in latest_first(self._project.ledger, kinds=["run.finished"])
            for output in _outputs(entry.body)
            if output["name"] == asked.artifact
        )
        digest = next(known, None)
        if digest is None or not self._project.store.has(digest):
            return None
        import polars as pl

        return pl.scan_parquet(self._project.store.path(digest), glob=False)


def _outputs(body: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return [output for step in body["steps"] for output in step["outputs"]]


def _meta(body: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    return next((output["meta"] for output in _outputs(body) if output["name"] == name), {})
