"""The compiled form is held against the estimator on the rows held out, also where the model step never sees them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from kairos.app.carding import make_card, markdown
from kairos.app.packages import holdout_table
from kairos.app.proving import HeldOut, compare_forms
from kairos.app.training import train
from kairos.cli import main
from kairos.errors import PackageError
from kairos.models.package import Package, open_package
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import Window
from tests.app.test_beating import GOOD
from tests.app.worlds import SETTINGS, Stock, World
from tests.models.trainings import LEAKS, finish, hours

ROWS = hours(seed=1).head(123)


def packaged(folder: Path, *, seed: int = 0, **inputs: Any) -> Package:
    """Of trees that learnt from ``hours``."""
    return open_package(finish(folder, HistGradientBoostingRegressor(max_iter=9), train=hours(seed=seed), **inputs))


def test_both_forms_answer_all_rows_held_out(tmp_path: Path) -> None:
    """Trees to the last bit."""
    found = compare_forms(packaged(tmp_path), ROWS)
    assert found is not None
    assert (found.rows, found.difference, found.worst_row) == (123, 0.0, 0)
    assert found.tolerance > 0.0
    assert found.sentence == "equal to the last bit on the 123 rows held out"


def test_what_was_proven_on_them_or_has_one_form_is_not_compared_again(tmp_path: Path) -> None:
    """Nor is a table without rows."""
    package = packaged(tmp_path / "one")
    assert compare_forms(package, ROWS.clear()) is None
    assert compare_forms(packaged(tmp_path / "two", holdout=ROWS.drop(LEAKS)), ROWS) is None
    assert compare_forms(replace(package, compilation=replace(package.compilation, proof=None, why="no")), ROWS) is None


def test_a_form_that_answers_otherwise_is_refused_with_the_row(tmp_path: Path) -> None:
    """Before a version is made of it."""
    package = packaged(tmp_path / "one")
    other = packaged(tmp_path / "two", seed=5)
    mixed = replace(package, loaded={"compiled": other.compiled_runner(), "native": package.native_runner()})
    with pytest.raises(PackageError, match=r"does not answer the rows held out.* at row \d+ of 123.*at most"):
        compare_forms(mixed, ROWS)


def test_a_difference_is_told_with_its_row() -> None:
    """And with what is tolerated."""
    found = HeldOut(rows=2000, difference=1e-13, worst_row=7, tolerance=2e-11)
    assert found.sentence == "on the 2,000 rows held out the largest difference is 1e-13 (row 7), 2e-11 is tolerated"


@pytest.mark.usefixtures("lent")
def test_a_run_keeps_what_came_of_it_and_the_version_tells_it(
    tmp_path: Path, stock: Stock, engine: LocalEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its fact, on its card, and in ``kairos models``."""
    world = World(tmp_path / "toy", stock, SETTINGS, GOOD)
    world.project.engine = engine
    trained = train(world.project, window=Window.parse("2011-11-20..2011-12-31"))
    [run] = world.project.ledger.read(kinds=("run.finished",))
    held_out = len(holdout_table(world.project, world.project.settings.model("demand"), run.body))
    told = HeldOut(**run.body["forms"]["demand"])
    assert (told.rows, told.difference) == (held_out, 0.0)
    sentence = f"equal to the last bit on the {held_out:,} rows held out"
    [version] = trained.versions
    assert sentence in markdown(make_card(world.project, version))
    assert main(["-C", str(world.project.root), "models", str(version)]) == 0
    assert sentence in capsys.readouterr().out
