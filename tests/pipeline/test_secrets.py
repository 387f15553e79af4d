"""Credentials of origins: from the environment only, and nowhere else afterwards."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from kairos import Dlt, Files, Http, Sql
from kairos.errors import AdapterError, AdapterMissing, GraphError, UsageError
from kairos.pipeline.origins.patience import Patience
from kairos.pipeline.origins.secrets import filled, filled_values, note_environment, redacted, without_secrets_in

QUERY = "SELECT 1 AS a WHERE :start < :end"


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Sql("postgresql://ann:hunter2@host/db", QUERY),
        lambda: Sql("postgresql://host/db?password=hunter2", QUERY),
        lambda: Files("sftp://ann:hunter2@host/{date}.csv"),
        lambda: Http("https://host/a", headers={"Authorization": "Bearer hunter2"}),
        lambda: Http("https://host/a", params={"api_key": "hunter2"}),
        lambda: Dlt({"client": {"base_url": "https://host", "auth": {"type": "bearer", "token": "hunter2"}}}),
        lambda: Dlt({"client": {"base_url": "https://ann:hunter2@host"}}),
        lambda: Dlt({"resources": [{"name": "a", "endpoint": {"path": "a", "params": {"api_key": "hunter2"}}}]}),
    ],
)
def test_a_secret_in_code_is_refused(declare: object) -> None:
    """The message does not repeat it."""
    with pytest.raises(GraphError) as caught:
        declare()  # type: ignore[operator]
    assert "hunter2" not in str(caught.value)
    assert "$" in str(caught.value)


def test_a_variable_is_filled_in_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared keeps its name; what was filled in is taken out of texts, in each form that it may have."""
    monkeypatch.setenv("KAIROS_TEST_PASSWORD", "p%40ss/wörd!")
    monkeypatch.setenv("KAIROS_TEST_TOKEN", "t0ken-of-ann")
    monkeypatch.setenv("KAIROS_TEST_DB", "postgresql://ann:from-the-whole-url@host/db")
    origin = Sql("postgresql://ann:$KAIROS_TEST_PASSWORD@host/db", QUERY)
    assert "p%40ss" not in str(origin.facts())
    assert filled(origin.url) == "postgresql://ann:p%40ss/wörd!@host/db"
    assert filled("$KAIROS_TEST_DB").startswith("postgresql")
    assert filled_values({"Authorization": "Bearer ${KAIROS_TEST_TOKEN}"}) == {"Authorization": "Bearer t0ken-of-ann"}
    for secret in ("p%40ss/wörd!", "p@ss/wörd!", "t0ken-of-ann", "Bearer t0ken-of-ann", "from-the-whole-url"):
        assert redacted(f"it was {secret}, they say") == "it was ***, they say"
    error = without_secrets_in(AdapterError("no t0ken-of-ann", given=("t0ken-of-ann",), traceback="t0ken-of-ann"))
    assert "t0ken" not in f"{error} {error.given} {error.facts}"


def test_a_variable_that_is_not_there_is_named() -> None:
    """With what to type."""
    os.environ.pop("KAIROS_TEST_NOTHING", None)
    with pytest.raises(UsageError, match="Type: export KAIROS_TEST_NOTHING="):
        filled("$KAIROS_TEST_NOTHING")


def test_what_may_pass_is_tried_again_and_ever_later() -> None:
    """Half a second, one, two; or as long as the other side asks for; what cannot pass is not."""
    waits: list[float] = []
    patience = Patience(tries=4, sleep=waits.append)
    failures = [
        AdapterError("busy", passing=True),
        AdapterError("busy", passing=True, wait_s=7),
        AdapterError("busy", passing=True),
    ]

    def ask() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert patience.call(ask) == "done"
    assert waits == [0.5, 7, 2.0]
    with pytest.raises(AdapterError, match="never"):
        patience.call(lambda: (_ for _ in ()).throw(AdapterError("never")))
    assert len(waits) == 3


def test_a_rate_is_kept() -> None:
    """Two calls a second: the third begins a second after the first."""
    now = 0.0
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    patience = Patience(rate_per_s=2, sleep=sleep, elapsed_s=lambda: now)
    for _ in range(3):
        patience.call(lambda: None)
    assert waits == [0.5, 0.5]


def test_an_origin_that_cannot_be_patient_is_refused(tmp_path: Path) -> None:
    """When it is declared."""
    with pytest.raises(UsageError, match="patience"):
        Files("a.csv", tries=0)


def test_a_rate_that_is_shared_does_not_wait_for_what_was_before_the_machine_started(tmp_path: Path) -> None:
    """The clock of its turns begins anew then; a file that was torn counts as none."""
    turns = tmp_path / "rates" / "host"
    waits: list[float] = []
    patience = Patience(rate_per_s=2, turns=turns, sleep=waits.append, elapsed_s=lambda: 5000.0)
    patience.pace()
    patience.pace()
    Patience(rate_per_s=2, turns=turns, sleep=waits.append, elapsed_s=lambda: 10.0).pace()
    assert waits == [0.5]
    turns.write_text("torn")
    patience.pace()
    assert waits == [0.5]


def test_dlt_is_loaded_by_who_reads_it_alone(tmp_path: Path) -> None:
    """Where it is not installed, a run says what to type; declaring needs none of it, and no secret is in its facts."""
    origin = Dlt({"client": {"base_url": "https://host", "auth": {"type": "bearer", "token": "$KAIROS_TEST_NOTHING"}}})
    assert "$KAIROS_TEST_NOTHING" in str(origin.facts())
    assert "dlt" not in sys.modules
    if find_spec("dlt") is None:
        with pytest.raises(AdapterMissing, match=r"pip install 'kairos-ml\[dlt\]'"):
            origin.reader(tmp_path)
    with pytest.raises(GraphError, match="no resource of dlt"):
        Dlt("trips")


def test_what_the_environment_holds_under_names_of_secrets_is_taken_out_of_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For code that reads it by itself; flags are not."""
    monkeypatch.setenv("SOURCES__BIKES__API_KEY", "0f-the-env1ronment")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    note_environment()
    assert redacted("it was 0f-the-env1ronment, and false") == "it was ***, and false"
