"""The OpenAPI document says what the server takes: what it allows is answered, and it follows the live version."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.models.signature import Column, OutputSpec, Signature
from kairos.privacy.capture import CapturePolicy
from tests.serving.toys import Registry, Served, ToySpec, adds, route, serving

WORDS = ("<b>&", "it's")
SIGNATURE = Signature(
    columns=(
        Column(name="temperature", kind="number", lower=-3.0, upper=40.5),
        Column(name="hour", kind="integer", nullable=True),
        Column(name="weather", kind="category", levels=WORDS, nullable=True),
        Column(name="open", kind="category", levels=("a", "b"), open_levels=True, required=False),
        Column(name="holiday", kind="boolean", required=False),
        Column(name="note", kind="text", required=False),
    ),
    output=OutputSpec(),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with one model of every kind of column."""
    registry = Registry({1: adds(0)}, route(1), spec=ToySpec(signature=SIGNATURE))
    with serving(registry, tmp_path_factory.mktemp("log")) as served:
        yield served


def values(schema: Any, schemas: Any) -> st.SearchStrategy[Any]:
    """What fits a schema, as far as the server's document uses schemas."""
    if "$ref" in schema:
        return values(schemas[schema["$ref"].removeprefix("#/components/schemas/")], schemas)
    if "anyOf" in schema:
        return st.one_of([values(each, schemas) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "object":
        required = set(schema["required"])
        made = {name: values(each, schemas) for name, each in schema["properties"].items()}
        return st.fixed_dictionaries(
            {name: made[name] for name in made if name in required},
            optional={name: made[name] for name in made if name not in required},
        )
    if schema["type"] == "array":
        items = values(schema["items"], schemas)
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=min(3, schema.get("maxItems", 3)))
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    low, high = schema.get("minimum"), schema.get("maximum")
    kind_of = {
        "null": st.none(),
        "boolean": st.booleans(),
        "string": _texts(schema),
        "number": st.floats(low, high, allow_nan=False),
        "integer": st.integers(None if low is None else int(low), None if high is None else int(high)),
    }
    return st.one_of([kind_of[kind] for kind in kinds])


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    moments = st.datetimes(timezones=st.just(UTC))
    if schema.get("format") == "date-time":
        return moments.map(datetime.isoformat)
    if schema.get("format") == "date":
        return moments.map(lambda moment: moment.date().isoformat())
    return st.text(min_size=schema.get("minLength", 0), max_size=9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_what_the_document_allows_is_answered_and_all_else_refused(served: Served, data: st.DataObject) -> None:
    """A request that fits is 200, but for entities as many as rows: no schema can say that."""
    told = served.client.get("/openapi.json").json()
    schemas = told["components"]["schemas"]
    [(path, item)] = told["paths"].items()
    body = data.draw(values(item["post"]["requestBody"]["content"]["application/json"]["schema"], schemas))
    response = served.client.post(path, json=body)
    if response.status_code != 200:
        assert response.status_code == 422
        assert "not as many" in response.json()["error"]["message"]
    broken = data.draw(st.sampled_from([[body], {"inputs": [body, None]}, {**{"x": 1}, "y": body}, [[]], "x"]))
    assert served.client.post(path, json=broken).status_code in (200, 422)
    assert str(response.status_code) in item["post"]["responses"]


def test_the_document_is_of_the_live_signature(served: Served) -> None:
    """Required, null and levels are the columns' own."""
    row = served.client.get("/openapi.json").json()["components"]["schemas"]["demand"]
    assert row["required"] == ["temperature", "hour", "weather"]
    assert row["additionalProperties"] is False
    assert row["properties"]["weather"]["enum"] == [*WORDS, None]
    assert row["properties"]["open"]["examples"] == ["a", "b"]
    assert set(row["properties"]) == {*SIGNATURE.names, "station", "when"}


def test_it_follows_a_swap(tmp_path: Path) -> None:
    """Another version, other columns, or none that is live."""
    registry = Registry({1: adds(0), 2: adds(0)}, route(1))
    with serving(registry, tmp_path) as served:
        assert "hour" in served.client.get("/docs").text
        registry.spec = ToySpec(signature=replace(SIGNATURE, columns=SIGNATURE.columns[:1]))
        registry.routes = [route(2, seq=2)]
        served.server.follower.poll()
        row = served.client.get("/openapi.json").json()["components"]["schemas"]["demand"]
        assert set(row["properties"]) == {"temperature", "station", "when"}
        assert "hour" not in served.client.get("/docs").text
    with serving(Registry({}), tmp_path / "none") as served:
        assert served.client.get("/openapi.json").json()["paths"] == {}
        assert "No model is live" in served.client.get("/docs").text


def test_the_page_runs_and_loads_nothing(served: Served) -> None:
    """Names and levels cannot become markup, and a browser is told to load nothing."""
    response = served.client.get("/docs")
    assert "<script" not in response.text
    assert "src=" not in response.text
    assert "<b>&" not in response.text
    assert "&lt;b&gt;&amp;" in response.text
    assert "Training" not in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


def test_what_is_pseudonymous_shows_no_values(tmp_path: Path) -> None:
    """Neither levels nor limits of a hidden column are told."""
    hidden = CapturePolicy(
        keep=frozenset(),
        pseudonymise=frozenset({"weather", "temperature"}),
        entity="drop",
        key=bytes(32),
    )
    registry = Registry({1: adds(0)}, route(1), spec=ToySpec(signature=SIGNATURE))
    with serving(registry, tmp_path, capture=hidden) as served:
        for path in ("/openapi.json", "/docs"):
            text = served.client.get(path).text
            assert "it's" not in text
            assert "it&#x27;s" not in text
            assert "40.5" not in text
