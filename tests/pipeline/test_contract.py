"""The contract of a model's data: what is declared of it, not how it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos.pipeline.contract import contract_digest
from tests.pipeline.projects import graph_of

TEXT = """
    class Row(NamedTuple):
        hour: int
        users: float

    @source
    def rentals(window: Window) -> Row:
        return Row(1, 2.0)

    @step
    def features(rentals: Row, *, lag: int = 1) -> int:
        return 1

    @step
    def beside(rentals: Row) -> int:
        return 1

    @model(target="users", drop=["hour"])
    def demand(features: int):
        return None
"""


def digest(folder: Path, text: str, **settings: str) -> str:
    """Of the model step of that pipeline."""
    return contract_digest(graph_of(folder, text), "demand", settings)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('target="users"', 'target="hour"'),
        ('drop=["hour"]', "drop=[]"),
        ("users: float", "users: int"),
        ("features: int)", "features: float)"),
        ("def features(rentals: Row, *", "def features(rentals: Row, beside: int, *"),
    ],
)
def test_another_declaration_is_another_contract(tmp_path: Path, old: str, new: str) -> None:
    """The target, the columns left out, the form of a table, what a step takes."""
    assert TEXT.count(old) == 1
    assert digest(tmp_path, TEXT) != digest(tmp_path, TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [("return Row(1, 2.0)", "return Row(3, 4.0)"), ("lag: int = 1", "lag: int = 2")]
)
def test_another_way_to_make_it_is_the_same_contract(tmp_path: Path, old: str, new: str) -> None:
    """So is a step that the model does not rest on; the settings of its columns count."""
    assert TEXT.count(old) == 1
    assert digest(tmp_path, TEXT) == digest(tmp_path, TEXT.replace(old, new))
    other = TEXT.replace("def beside(rentals: Row) -> int", "def beside(rentals: Row) -> float")
    assert digest(tmp_path, TEXT) == digest(tmp_path, other)
    assert digest(tmp_path, TEXT, time="hour") != digest(tmp_path, TEXT)
