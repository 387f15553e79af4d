"""A ledger that version 0.1 wrote is read for ever, and means what it meant then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kairos.delivery.state import DeliveryState
from kairos.ledger import GENESIS, Entry, entry_hash
from kairos.values import parse_moment

GOLDEN = Path(__file__).parents[1] / "golden" / "ledger-0.1.jsonl"


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """Each entry, with the state that it led to as version 0.1 saw it."""
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def entries(told: list[dict[str, Any]]) -> list[Entry]:
    """The entries as a ledger gives them."""
    return [Entry(**{**one["entry"], "at": parse_moment(one["entry"]["at"])}) for one in told]


def test_its_hashes_still_fit(told: list[dict[str, Any]]) -> None:
    """Every entry names the one before, and its own hash is made as it was."""
    before = GENESIS
    for one in entries(told):
        assert one.prev == before
        fields = {name: getattr(one, name) for name in Entry.__slots__ if name != "hash"}
        assert one.hash == entry_hash(**fields)
        before = one.hash


def test_every_prefix_leads_to_the_state_that_it_led_to(told: list[dict[str, Any]]) -> None:
    """Champion, challenger, the warm one, the way back, and every stage."""
    state = DeliveryState()
    for one, entry in zip(told, entries(told), strict=True):
        state = DeliveryState.fold([entry], start=state)
        model = state.model("demand")
        found = {
            "champion": model.champion_number,
            "challenger": model.challenger_number,
            "previous": model.previous_number,
            "former": None if model.former is None else model.former.ref.number,
            "stages": {str(number): version.stage for number, version in model.versions.items()},
        }
        assert found == {name: one[name] for name in found}, f"entry {entry.seq}"
        assert all(version.serving is None for version in model.versions.values())
