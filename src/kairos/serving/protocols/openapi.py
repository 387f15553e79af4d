"""The server's description for programs (OpenAPI 3.1) and for people: the models that are live, as they are now.

Both are made anew from what is loaded whenever somebody asks, so that they follow every swap.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kairos.models.arrays import nested
from kairos.models.outputs import Output
from kairos.models.signature import LARGEST_NUMBER, LONGEST_TEXT, Column, ColumnKind
from kairos.serving.body import LONGEST_NAME, MOST_ROWS, WHOLE_NAMES
from kairos.values import Json

__all__ = ["Told", "document", "page"]

_TYPES: Mapping[ColumnKind, dict[str, Json]] = {
    "number": {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER},
    "integer": {"type": "integer", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER},
    "boolean": {"type": "boolean"},
    "category": {"type": "string", "maxLength": LONGEST_TEXT},
    "text": {"type": "string", "maxLength": LONGEST_TEXT},
}
_NAME = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
        {"type": "integer", "minimum": WHOLE_NAMES[0], "maximum": WHOLE_NAMES[1]},
        {"type": "null"},
    ]
}
_MOMENT = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}, {"type": "null"}],
    "examples": ["2012-03-03T14:00:00Z", "2012-03-03"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What may be told of a live model."""

    model: str
    version: int
    columns: Sequence[Column]
    """As ``Column.told`` gives them."""
    entity: str | None
    time: str | None
    outputs: Sequence[Output] = ()
    rank_within: str | None = None
    item: str | None = None


def document(models: Sequence[Told], *, version: str) -> dict[str, Json]:
    """The OpenAPI document.

    Args:
        models: What is live.
        version: Of Kairos.
    """
    paths: dict[str, Json] = {}
    schemas: dict[str, Json] = {"Error": _ERROR, "Prediction": _PREDICTION}
    for told in models:
        row = {"$ref": f"#/components/schemas/{_pointer(told.model)}"}
        schemas[told.model] = _row_schema(told)
        if told.outputs or told.rank_within is not None:
            schemas[_prediction_name(told)] = _prediction_of(told.outputs) if told.outputs else _RANKED
        paths[f"/predict/{told.model}"] = {
            "post": {
                "operationId": f"predict_{told.model}",
                "summary": f"Predictions of {told.model!r}, whose version {told.version} is live.",
                "requestBody": {"required": True, "content": _json(_request_schema(row, told))},
                "responses": _responses(_prediction_name(told)),
            }
        }
    info = {"title": "Kairos", "version": version, "description": "The models that are live."}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _row_schema(told: Told) -> Json:
    properties = {column.name: _column_schema(column) for column in told.columns}
    if told.entity is not None:
        properties.setdefault(told.entity, {**_NAME, "description": "Whom the row is about."})
    if told.time is not None:
        properties.setdefault(told.time, {**_MOMENT, "description": "When the row is about."})
    if told.rank_within is not None:
        properties.setdefault(told.rank_within, {**_NAME, "description": "In which list the row is ranked."})
    if told.item is not None:
        properties.setdefault(told.item, {**_NAME, "description": "Which thing of its list the row is."})
    required = [column.name for column in told.columns if column.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _column_schema(column: Column) -> Json:
    schema = _array_schema(column) if column.kind == "array" else dict(_TYPES[column.kind])
    if column.levels and not column.open_levels and not column.rare_levels and column.kind == "category":
        schema["enum"] = [*column.levels, None] if column.nullable else list(column.levels)
    elif column.levels:
        schema["examples"] = list(column.levels[:5])
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    if column.lower is not None and column.upper is not None:
        schema["description"] = f"Training held {column.lower:g} to {column.upper:g}."
    return schema


def _array_schema(column: Column) -> dict[str, Json]:
    """Lists in lists, each of its length."""
    schema = dict(_TYPES["integer" if column.is_whole else "number"])
    for least, most in reversed(column.taken or tuple((length, length) for length in column.shape)):
        schema = {"type": "array", "items": schema, "minItems": least, "maxItems": most}
    return schema


def _request_schema(row: Json, told: Told) -> Json:
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": MOST_ROWS}
    one_or_each = {
        name: {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1, "maxItems": MOST_ROWS}]}
        for name, schema in (("entity", _NAME), ("time", _MOMENT), ("list", _NAME))
        if name != "list" or told.rank_within is not None
    }
    envelope = {
        "type": "object",
        "properties": {"inputs": {"anyOf": [row, rows]}, "id": _NAME, **one_or_each},
        "required": ["inputs"],
        "additionalProperties": False,
    }
    return {"anyOf": [row, rows, envelope]}


def _prediction_name(told: Told) -> str:
    is_own = told.outputs or told.rank_within is not None
    return f"{told.model}.prediction" if is_own else "Prediction"  # no model has a dot in its name


def _prediction_of(outputs: Sequence[Output]) -> Json:
    fields: dict[str, Json] = {
        name: {"type": "string" if is_text else "number"} for each in outputs for name, is_text in each.fields
    }
    for each in outputs:
        if each.kind == "class":
            fields[each.name] = {"enum": list(each.classes)}
    own = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {**_PREDICTION, "properties": {**_PREDICTION["properties"], "prediction": own}}


def _responses(prediction: str) -> Json:
    error = _json({"$ref": "#/components/schemas/Error"})
    one = {"$ref": f"#/components/schemas/{_pointer(prediction)}"}
    several = {"type": "object", "properties": {"predictions": {"type": "array", "items": one}}}
    refusals = {
        "400": "It cannot be read.",
        "413": "It is too large.",
        "415": "It is in a coding that is not read.",
        "422": "It does not fit the model.",
        "503": "No version can answer now.",
    }
    return {
        "200": {"description": "The predictions.", "content": _json({"anyOf": [one, several]})},
        **{status: {"description": text, "content": error} for status, text in refusals.items()},
    }


_PREDICTION: Json = {
    "type": "object",
    "properties": {
        "prediction": {"type": "number"},
        "prediction_id": {"type": "string"},
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "guard": {"enum": ["clip", "flag", "fallback"]},
        "captured": {"const": False},
    },
    "required": ["prediction", "prediction_id", "model", "version"],
    "additionalProperties": False,
}

_RANKED: Json = {
    **_PREDICTION,
    "properties": {**_PREDICTION["properties"], "rank": {"type": "integer", "minimum": 1}},
    "required": [*_PREDICTION["required"], "rank"],
}

_ERROR: Json = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "row": {"type": ["integer", "null"]},
                **{name: {"type": ["string", "null"]} for name in ("field", "accepted", "hint")},
            },
            "required": ["code", "message", "field", "row", "accepted", "hint"],
        }
    },
    "required": ["error"],
}


def page(models: Sequence[Told]) -> str:
    """The same for people: one page of plain HTML, which loads nothing from anywhere."""
    parts = [_section(told) for told in models] or ["<p>No model is live.</p>"]
    return _PAGE.format(body="\n".join(parts))


def _section(told: Told) -> str:
    rows = "\n".join(
        f"<tr><td>{_text(column.name)}</td><td>{_text(_said(column))}</td><td>{_text(_seen(column))}</td></tr>"
        for column in told.columns
    )
    about = " ".join(
        f"A row may say {what} in <code>{_text(field)}</code>."
        for what, field in (
            ("whom it is about", told.entity),
            ("when it is about", told.time),
            ("in which list it is ranked", told.rank_within),
            ("which thing of its list it is", told.item),
        )
        if field is not None
    )
    example = json.dumps({column.name: _example(column) for column in told.columns if column.required})
    name = _text(told.model)
    return f"""<section><h2>{name}</h2>
<p>Version {told.version} is live. {about}</p>
<pre>POST /predict/{name}
{_text(example)}</pre>
<table><thead><tr><th>column</th><th>takes</th><th>training held</th></tr></thead><tbody>
{rows}
</tbody></table></section>"""


def _text(value: str) -> str:
    return html.escape(value)


def _said(column: Column) -> str:
    said: list[str] = [column.words]
    if not column.required:
        said.append("may be left out")
    if column.nullable:
        said.append("may be null")
    return ", ".join(said)


def _seen(column: Column) -> str:
    if column.levels:
        shown = ", ".join(column.levels[:20])
        return shown + (", ..." if len(column.levels) > 20 else "")
    return "" if column.lower is None or column.upper is None else f"{column.lower:g} to {column.upper:g}"


def _example(column: Column) -> Json:
    if column.kind == "boolean":
        return False
    if column.kind in ("category", "text"):
        return column.levels[0] if column.levels else ""
    if column.kind == "array":
        return nested(column.lower or 0, column.example_shape)
    return column.lower or 0


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>What is live</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }}
pre {{ overflow-x: auto; background: #f4f4f4; padding: .5rem; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #111; color: #eee; }} pre {{ background: #222; }} a {{ color: #9cf; }}
}}
</style></head><body>
<h1>What is live</h1>
<p>For programs: <a href="/openapi.json">/openapi.json</a>.</p>
{body}
</body></html>
"""
