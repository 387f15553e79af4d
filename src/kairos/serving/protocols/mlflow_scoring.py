"""MLflow's scoring protocol: what ``mlflow models serve`` takes at ``/invocations``, and how it answers and refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import msgspec

from kairos.errors import KairosError, UsageError
from kairos.models.arrays import array_text
from kairos.models.signature import Column
from kairos.serving.body import check_count, read_json, read_predict, refuse
from kairos.serving.protocols.inference import refusal_text
from kairos.serving.rows import Answers, Intake, Rows, Written
from kairos.values import Json

__all__ = ["MlflowScoring", "UnknownContent"]

_ENCODER = msgspec.json.Encoder()
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_ACCEPTED = "one of " + ", ".join(_FORMS)
_MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"})
_BOOLEANS: Mapping[str, Json] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CODES = {404: "RESOURCE_DOES_NOT_EXIST", 413: "BAD_REQUEST", 503: "TEMPORARILY_UNAVAILABLE", 500: "INTERNAL_ERROR"}


class UnknownContent(UsageError):
    """A body of a type, or in a coding, that is not read."""

    http_status = 415


class MlflowScoring:
    """The codec of ``/invocations``."""

    def decode(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> Rows:
        """See ``Codec``."""
        kind, _, parameters = headers.get("content-type", "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        if charset not in ("", "charset=utf-8"):
            raise UnknownContent("Only UTF-8 is read.", given=parameters[:40], accepted="charset=utf-8")
        if kind.strip() == "text/csv":
            rows = _csv(body, intake)
        elif kind.strip() == "application/json":
            rows = _json(read_json(body))
        else:
            raise UnknownContent(
                "The content type is not read.", given=repr(kind[:40]), accepted="application/json, text/csv"
            )
        read = read_predict(
            rows,
            entity_field=intake.entity,
            time_field=intake.time,
            list_field=intake.rank_within,
            item_field=intake.item,
            columns=frozenset(intake.signature.names),
        )
        columns = intake.signature.parse_rows(read.rows)
        return Rows(
            columns=columns,
            count=len(read.rows),
            entities=read.entities,
            times=read.times,
            lists=read.lists,
            items=read.items,
        )

    def encode(self, rows: Rows, answers: Answers) -> Written:
        """See ``Codec``. The protocol has no place for ids: they are in a header, as many as fit."""
        headers = {"content-type": "application/json", "kairos-version": str(answers.versions[0])}
        if rows.count == 1:
            headers["kairos-prediction-id"] = answers.ids[0]
        told: dict[str, Json] = {"predictions": list(answers.outputs)}
        if answers.ranks is not None:
            told["ranks"] = list(answers.ranks)
        return Written(headers=headers, body=_ENCODER.encode(told))

    def refuse(self, error: KairosError) -> Written:
        """See ``Codec``: ``{"error_code", "message"}``, 400 for what does not fit, and plain text for 415."""
        if isinstance(error, UnknownContent):
            text = refusal_text(error).encode()
            return Written(headers={"content-type": "text/plain; charset=utf-8"}, body=text, status=415)
        status = 400 if isinstance(error, UsageError) and error.http_status == 422 else error.http_status
        body = {"error_code": _CODES.get(status, "BAD_REQUEST"), "message": refusal_text(error)}
        headers = {"content-type": "application/json"} | ({"retry-after": "1"} if status == 503 else {})
        return Written(headers=headers, body=_ENCODER.encode(body), status=status)


def _json(body: Json) -> list[Json]:
    if not isinstance(body, dict):
        raise UsageError("The request is no object.", given=type(body).__name__, accepted=_ACCEPTED)
    found = [form for form in _FORMS if form in body]
    if len(found) != 1:
        given = ", ".join(found) if found else ", ".join(map(repr, body))[:100]
        raise UsageError("The request has not exactly one form of input.", given=given, accepted=_ACCEPTED)
    if body.get("params"):
        raise refuse("The model takes no params.", field="params", accepted="no params")
    data = body[found[0]]
    if found[0] == "dataframe_split":
        return _split(data)
    if found[0] == "inputs" and isinstance(data, dict):
        return _by_column(data)
    if not isinstance(data, list):
        raise refuse(f"{found[0]!r} is no list of rows.", field=found[0], accepted='[{"column": 1.5}]')
    return data


def _split(data: Json) -> list[Json]:
    columns = data.get("columns") if isinstance(data, dict) else None
    rows = data.get("data") if isinstance(data, dict) else None
    if not isinstance(columns, list) or not all(isinstance(n, str) for n in columns) or not isinstance(rows, list):
        form = '{"columns": ["a"], "data": [[1.5]]}'
        raise refuse("'dataframe_split' has not its form.", field="dataframe_split", accepted=form)
    check_count(len(rows))
    return [_row(columns, row, index) for index, row in enumerate(rows)]


def _row(columns: Sequence[str], row: Json, index: int) -> Json:
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise refuse(f"The column {twice!r} is there more than once.", field=twice, accepted="each column once")
    if not isinstance(row, list) or len(row) != len(columns):
        given = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
        what = f"Row {index} has not one value a column."
        raise refuse(what, field=None, row=index, given=given, accepted=f"{len(columns)} values")
    return dict(zip(columns, row, strict=True))


def _by_column(data: Mapping[str, Json]) -> list[Json]:
    counts = set()
    for name, values in data.items():
        if not isinstance(values, list):
            raise refuse(f"The column {name!r} is no list.", field=name, accepted="a list with one value a row")
        check_count(len(values))
        counts.add(len(values))
        if len(counts) > 1:
            raise refuse(f"The column {name!r} has not as many rows as those before it.", field=name)
    return [dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)]


def _csv(body: bytes, intake: Intake) -> list[Json]:
    lines = list[list[str]]()
    try:
        for line in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True):
            if line:
                check_count(len(lines))
                lines.append(line)
    except UnicodeDecodeError as error:
        raise UsageError("The request is not CSV in UTF-8.", given=f"byte {error.start}") from None
    except csv.Error as error:
        raise UsageError("The request is not CSV.", given=str(error)) from None
    if not lines:
        raise UsageError("The request is not CSV.", given="nothing", accepted="a line of names, then one line a row")
    kinds = {column.name: column for column in intake.signature.columns}
    rows = [_row(lines[0], line, index) for index, line in enumerate(lines[1:])]
    return [
        {name: _value(text, kinds.get(name)) for name, text in row.items() if _is_given(text, kinds.get(name))}
        for row in rows
    ]


def _is_given(text: str, column: Column | None) -> bool:
    """Whether a cell holds something; of an optional column that cannot be null an empty cell is left out."""
    return not (column is not None and text in _MISSING and not column.nullable and not column.required)


def _value(text: str, column: Column | None) -> Json:
    if text in _MISSING and (column is None or column.kind != "text" or text == ""):
        return None
    if column is None or column.kind in ("text", "category"):
        return text
    if column.kind == "array":
        return array_text(text)
    if column.kind == "boolean":
        return _BOOLEANS.get(text, text)
    if "_" in text:  # Python would read 1_000
        return text
    try:
        return int(text) if text.lstrip("+-").isdigit() and len(text) < 20 else float(text)
    except ValueError:
        return text
