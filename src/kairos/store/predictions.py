"""The prediction log: every served answer and every late label, from append-only spools into Parquet by day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import polars as pl

from kairos.store.beside import first_whole, side_by_side, told_truth
from kairos.store.frames import (
    ENTITY_LABEL_SCHEMA,
    LABEL_SCHEMA,
    LISTED,
    PREDICTION_SCHEMA,
    entity_label_frame,
    label_frame,
    prediction_frame,
    predictions_of,
)
from kairos.store.label_rows import Said
from kairos.store.matching import ASKED, TOLD, Matches, latest, match
from kairos.store.partitions import files_with_id, read_files, scan_files, stack
from kairos.store.records import EntityLabel, Label, Prediction
from kairos.store.spool import PredictionWriter, SpoolDamage, SpoolState
from kairos.store.spooled import SpooledLog
from kairos.values import Window

__all__ = ["EntityLabel", "Label", "Prediction", "PredictionLog", "PredictionWriter", "SpoolDamage"]

_FAR = datetime(9999, 1, 1, tzinfo=UTC)
_EARLY = timedelta(days=1)
"""By how much a label may be ahead of its prediction, for the clocks of others."""


class PredictionLog(SpooledLog):
    """Writes and reads the log below one folder; safe from several threads and processes.

    Args:
        root: Folder of the log, ``.kairos/predictions`` in a project; made when something is written.
    """

    def predictions(self, model: str, window: Window, *, versions: Collection[int] | None = None) -> pl.DataFrame:
        """Predictions of a model in a window, rolled or not, sorted by time, id and version.

        Args:
            model: The model's name; one that has no predictions gives an empty table.
            window: Which ``at`` to give.
            versions: Which versions to give; all of them if ``None``.
        """

        def gather(state: SpoolState) -> pl.DataFrame:
            shelf = self._shelf(model)
            parts = shelf.rows(window.start, window.end, roll=state.roll, edition=(state.roll, state.prune))
            tail = [row for row in self._tail(state) if isinstance(row, Prediction) and row.model == model]
            wanted = pl.col("at").is_between(window.start, window.end, closed="left")
            if versions is not None:
                wanted &= pl.col("version").is_in(sorted(versions))
            return stack([part.filter(wanted) for part in [*parts, prediction_frame(tail)]], PREDICTION_SCHEMA)

        rows = self._consistent(gather)
        inputs = sorted(set(rows.columns) - set(PREDICTION_SCHEMA))  # in whatever order the files named them
        return rows.select(*PREDICTION_SCHEMA, *inputs).sort("at", "id", "version")

    def labels(self, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """The latest label of each prediction and target among those that arrived in a stretch, by arrival and id.

        Of labels with equal ``at`` the one appended later wins (in the order of the spools if several workers wrote).

        Args:
            since: First moment of the stretch; only the months from then on are read. ``None``: from the first label.
            until: Last moment of the stretch; ``None``: no end.
        """
        rows = self._label_rows(since, until)
        if since is not None:
            rows = rows.filter(pl.col("at") >= since)
        return latest(rows, "at").sort("at", "prediction_id", "target")

    def labelled(self, model: str, window: Window, *, as_of: datetime, within: timedelta | None = None) -> pl.DataFrame:
        """Predictions of a window with the latest label that had arrived in time: the columns of ``side_by_side``.

        Args:
            model: The model's name.
            window: Which predictions to give.
            as_of: Labels that arrived later are not looked at.
            within: How long after the end of the prediction's UTC day a label is still taken; later ones change
                nothing, so what is known of that day stays as it is. ``None``: for ever.
        """
        rows = self.predictions(model, window)
        truths = self._truths(model, window, rows, as_of)
        if within is not None:
            in_time = pl.col("at").dt.truncate("1d") + timedelta(days=1) + within
            last = rows.select("id", in_time=in_time).unique("id", keep="last", maintain_order=True)
            truths = truths.join(last, left_on="prediction_id", right_on="id", maintain_order="left")
            truths = truths.filter(pl.col("at") <= pl.col("in_time"))
        known = side_by_side(latest(truths, "at"))
        return rows.join(known, left_on="id", right_on="prediction_id", how="inner", maintain_order="left")

    def truths(self, model: str, window: Window, rows: pl.DataFrame, *, as_of: datetime) -> pl.DataFrame:
        """The latest label of each prediction of a window, as ``side_by_side`` gives it.

        Args:
            model: The model's name.
            window: Which was asked for.
            rows: What ``predictions`` gave.
            as_of: Labels that arrived later are not looked at.
        """
        return side_by_side(latest(self._truths(model, window, rows, as_of), "at"))

    def arrivals(self, model: str, window: Window, *, as_of: datetime) -> pl.DataFrame:
        """One row for each request of a window, labelled or not: when its first label came, and what the latest says.

        A request of several targets is labelled once each of them is that any request of the window has a label of.

        Args:
            model: The model's name.
            window: Which requests to give.
            as_of: Labels that arrived later are not looked at.

        Returns:
            Columns ``id``, ``at``, ``output`` (of the version that answered, or else of the one with the lowest
            number), ``label_at`` and ``label``; the last two are null where no label has come, the latter also of
            several targets and of names. Sorted by time and id.
        """
        rows = self.predictions(model, window)
        requests = rows.select("id", "at", "version", "answered", "output")
        requests = requests.sort("answered", descending=True, maintain_order=True)
        requests = requests.unique("id", keep="first", maintain_order=True).sort("at", "id")
        truths = self._truths(model, window, rows, as_of)
        said = side_by_side(latest(truths, "at")).select("prediction_id", label=pl.col("label").fill_nan(None))
        known = first_whole(truths).join(said, on="prediction_id")
        joined = requests.join(known, left_on="id", right_on="prediction_id", how="left", maintain_order="left")
        return joined.select("id", "at", "output", "label_at", "label")

    def matches(self, model: str, *, since: datetime | None = None, until: datetime | None = None) -> Matches:
        """What becomes of the labels by entity and time that arrived in a stretch; of all predictions, rolled or not.

        Args:
            model: The model's name.
            since: First moment of the stretch; ``None``: from the first label.
            until: Last moment of the stretch; ``None``: no end.
        """
        given = self.entity_labels(model, since=since, until=until)
        return match(self.asked(model, given), given)

    def entity_labels(
        self, model: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """The latest label of each entity, time and target among those that arrived in a stretch, by arrival."""
        rows = self._entity_labels(model, since, until)
        if since is not None:
            rows = rows.filter(pl.col("at") >= since)
        return rows.sort("at", maintain_order=True).unique(
            ["key", "about", "target", *LISTED], keep="last", maintain_order=True
        )

    def truth_of(self, prediction: Prediction) -> Said | None:
        """The latest label of one prediction, of several targets by name; ``None`` if there is none."""
        at = prediction.at
        rows = self.labelled(prediction.model, Window(at, at + timedelta(microseconds=1)), as_of=_FAR)
        found = rows.filter(pl.col("id") == prediction.id)
        return None if found.is_empty() else told_truth(found.row(0, named=True))

    def known_ids(self, ids: Collection[str], *, model: str | None = None) -> set[str]:
        """Those of the ids that predictions in the log have, rolled or not; of one model, or of any."""
        columns, wanted = {"id": pl.String}, pl.col("id").is_in(list(ids))

        def gather(state: SpoolState) -> set[str]:
            models = self._models() if model is None else [model]
            files = [file for each in models for file in self._shelf(each).files()]
            rows = scan_files([file for file in files if int(file.stem) <= state.roll], columns, wanted)
            tail = {row.id for row in self._tail(state) if isinstance(row, Prediction) and model in (None, row.model)}
            return set(rows["id"].to_list()) | (tail & set(ids))

        return self._consistent(gather)

    def find(self, prediction_id: str) -> list[Prediction]:
        """Every row of that id, sorted by time and version; empty if the log holds none."""

        def gather(state: SpoolState) -> list[Prediction]:
            found = [row for row in self._tail(state) if isinstance(row, Prediction) and row.id == prediction_id]
            files = [file for model in self._models() for file in self._shelf(model).files()]
            for file in files_with_id([file for file in files if int(file.stem) <= state.roll], prediction_id):
                found += predictions_of(read_files([file], PREDICTION_SCHEMA).filter(pl.col("id") == prediction_id))
            return sorted(found, key=lambda row: (row.at, row.version))

        return self._consistent(gather)

    def _label_rows(self, since: datetime | None, until: datetime | None) -> pl.DataFrame:
        """Every label that arrived by ``until``, and at least those since ``since``, in the order of appending."""

        def gather(state: SpoolState) -> pl.DataFrame:
            parts = self._labels.rows(since, until, roll=state.roll, edition=(state.roll, state.prune))
            tail = label_frame([row for row in self._tail(state) if isinstance(row, Label)])
            return stack([*parts, tail], LABEL_SCHEMA)

        rows = self._consistent(gather)
        return rows if until is None else rows.filter(pl.col("at") <= until)

    def _entity_labels(self, model: str, since: datetime | None, until: datetime | None) -> pl.DataFrame:
        """The same of labels by entity and time."""

        def gather(state: SpoolState) -> pl.DataFrame:
            parts = self._by_entity.rows(since, until, roll=state.roll, edition=(state.roll, state.prune))
            tail = entity_label_frame([row for row in self._tail(state) if isinstance(row, EntityLabel)])
            return stack([*parts, tail], ENTITY_LABEL_SCHEMA).filter(pl.col("model") == model)

        rows = self._consistent(gather)
        return rows if until is None else rows.filter(pl.col("at") <= until)

    def _truths(self, model: str, window: Window, rows: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
        """Every label of these predictions of a window, by entity and by id, in this order: the latter wins a tie."""
        since = window.start - _EARLY
        by_id = self._label_rows(since, as_of)
        given = self._entity_labels(model, since, as_of)
        if given.is_empty():
            return by_id
        reach = timedelta(seconds=float(given["within_s"].max() or 0.0))  # type: ignore[arg-type]
        if reach > timedelta(0):  # a prediction just outside of the window may make a label ambiguous
            rows = self.predictions(model, Window(window.start - 2 * reach, window.end + 2 * reach))
        return pl.concat([match(rows, given).truths, by_id.select("prediction_id", *TOLD)])

    def asked(self, model: str, labels: pl.DataFrame) -> pl.DataFrame:
        """The requests that labels by entity and time, or by list, may be about, as ``match`` takes them.

        Only that much is read.
        """
        columns = {name: PREDICTION_SCHEMA.get(name, pl.String) for name in ASKED}
        if labels.is_empty():
            return pl.DataFrame(schema=columns)
        reach = pl.duration(microseconds=(pl.col("within_s") * 1e6).cast(pl.Int64))
        ends = labels.select(low=(pl.col("about") - reach).min(), high=(pl.col("about") + reach).max())
        wanted = pl.coalesce("about", "at").is_between(ends["low"][0], ends["high"][0])
        wanted &= pl.col("key").is_in(labels["key"].drop_nulls().unique().to_list()) | pl.col("key").is_null()
        lists = labels["list_key"].drop_nulls().unique().to_list()
        wanted = (wanted.fill_null(value=False) | pl.col("list_key").is_in(lists)) if lists else wanted

        def gather(state: SpoolState) -> pl.DataFrame:
            files = [file for file in self._shelf(model).files() if int(file.stem) <= state.roll]
            tail = [row for row in self._tail(state) if isinstance(row, Prediction) and row.model == model]
            fresh = stack([prediction_frame(tail)], columns).select(list(columns)).filter(wanted)
            return stack([scan_files(files, columns, wanted), fresh], columns)

        return self._consistent(gather)
