"""Requests that schemathesis makes from OpenAPI documents: the Open Inference Protocol's own, and ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.documents import narrowed, protocol, write
from tests.clients.environment import run_client
from tests.clients.servers import Addresses, inference_server

HOOKS = """
import schemathesis

@schemathesis.hook
def filter_body(context, body):
    inputs = body["inputs"] if isinstance(body, dict) and "inputs" in body else None
    rows = len(inputs) if isinstance(inputs, list) else 1
    return inputs is None or all(
        not isinstance(body.get(name), list) or len(body[name]) == rows for name in ("entity", "time"))
"""
"""Leaves out requests with more or fewer entities or times than rows, which no schema can tell from right ones."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Version 2 is live, 3 in shadow, 1 was live before."""
    with inference_server(tmp_path_factory.mktemp("server")) as served:
        yield served


def run(folder: Path, document: str, url: str, *words: str) -> None:
    """Lets schemathesis try a document against a server, with every check that is not left out."""
    (folder / "hooks.py").write_text(HOOKS)
    done = run_client(
        *("-m", "schemathesis.cli", "run", document, "-u", url, "--seed", "1", "--no-color", "--continue-on-failure"),
        *("--generation-database", "none", "--suppress-health-check", "all", *words),
        folder=folder,
        SCHEMATHESIS_HOOKS="hooks",
        PYTHONPATH=str(folder),
    )
    assert done.returncode == 0, "\n".join(line[:300] for line in done.stdout.splitlines()[-80:]) + done.stderr


@pytest.mark.parametrize("document", [protocol, narrowed], ids=["as it is", "for the models that there are"])
def test_the_protocols_own_document_holds(served: Addresses, tmp_path: Path, document: Any) -> None:
    """Every answer is as it says. It says nothing of a model's columns, so requests that it allows may be refused."""
    path = write(document(), tmp_path / "protocol.json")
    run(tmp_path, str(path), served.http, "-n", "100", "--exclude-checks", "positive_data_acceptance")


def test_our_own_document_holds(served: Addresses, tmp_path: Path) -> None:
    """What it allows is answered, what it forbids refused, both as it says."""
    url = f"{served.http}/openapi.json"
    run(tmp_path, url, served.http, "-n", "300", "--phases", "examples,fuzzing")
    # hooks are not asked in this phase, so requests with a wrong number of entities or times are among the allowed
    run(tmp_path, url, served.http, "--phases", "coverage", "--exclude-checks", "positive_data_acceptance")
