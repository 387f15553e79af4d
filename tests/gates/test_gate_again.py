"""Decisions of the past are made again from what the ledger holds, whatever version of Kairos wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kairos.errors import UsageError
from kairos.gates.again import decide_again
from kairos.gates.decide import decide
from kairos.values import canonical_json
from tests.gates.making import POLICY, evidence

OLD = json.loads((Path(__file__).parent / "golden/decisions_format1.json").read_text())
"""Bodies of ``gate.decided`` as version 0.1.0 wrote them before evidence had a format number."""


@pytest.mark.parametrize("body", OLD, ids=lambda body: str(body["sentence"])[:40])
def test_what_was_written_first_is_decided_as_it_was(body: dict[str, Any]) -> None:
    """Verdict, sentence, reasons and missing rows, word for word."""
    again = decide_again(body)
    assert again.is_same
    assert again.evidence is None
    assert again.decision.verdict == body["verdict"]


def test_what_is_written_now_is_decided_as_it_was() -> None:
    """And a changed number shows."""
    found = evidence()
    decision = decide(POLICY, found)
    body = json.loads(
        canonical_json(
            {
                "verdict": decision.verdict,
                "sentence": decision.sentence,
                "reasons": decision.reasons,
                "needed_rows": decision.needed_rows,
                "ready_on": decision.ready_on,
                "policy": POLICY.plain(),
                "evidence": found.plain(),
            }
        )
    )
    again = decide_again(body)
    assert again.is_same
    assert again.decision == decision
    body["evidence"]["metrics"]["absolute_error"]["lower"] = -1.0
    assert not decide_again(body).is_same


def test_what_cannot_be_decided_again_says_why() -> None:
    """An entry without evidence, and one of a format to come."""
    with pytest.raises(UsageError, match="holds no gate's policy and evidence"):
        decide_again({"verdict": "pass"})
    with pytest.raises(UsageError, match="format that is not known"):
        decide_again({**OLD[0], "evidence": {"format": 3}})
