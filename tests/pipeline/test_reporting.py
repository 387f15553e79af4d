"""``report`` and ``Between`` as a step's code meets them."""

from __future__ import annotations

import pytest

from kairos import Between, report
from kairos.errors import UsageError
from kairos.pipeline.code import CodeIndex
from kairos.pipeline.reporting import Past, Pruned, Watch, reporting
from tests.pipeline.projects import Place, write_project


def test_a_plain_call_reports_to_nobody() -> None:
    """A step stays a plain function; what is no number is refused there as well."""
    report(0.5, step=0)
    for loss, step in ((0.5, -1), (0.5, 1.5), (0.5, True), ("much", 1)):
        with pytest.raises(UsageError, match=r"report\(\)"):
            report(loss, step=step)  # type: ignore[arg-type]


def is_above_one(watch: object, past: object, own: list[tuple[int, float]]) -> bool:
    """A judge."""
    return own[-1][1] > 1


def learn() -> None:
    """As a step does that cares for its own troubles."""
    for at, loss in enumerate((0.5, 2.0, 0.1)):
        try:
            report(loss, step=at)
        except Exception:
            raise AssertionError from None


def test_who_has_no_hope_is_stopped_past_its_own_care() -> None:
    """``except Exception`` does not hold it; without trials to compare with nobody is stopped."""
    watch = Watch(judge=f"{__name__}:is_above_one", past={"fit": [Past(0, [(0, 1.0)])]})
    with reporting("fit", watch), pytest.raises(Pruned) as stopped:
        learn()
    assert (stopped.value.step, stopped.value.loss) == (1, 2.0)
    for other in (None, Watch(judge="nowhere:at_all")):
        with reporting("fit", other) as reports:
            learn()
        assert [point.value for point in reports.points] == [0.5, 2.0, 0.1]


def test_where_a_range_lies_is_nothing_that_a_result_depends_on(place: Place) -> None:
    """Another one, or none, makes no step run again."""
    text = """
        from typing import Annotated
        from kairos import Between, report

        @step
        def fit(*, rate: {}= 0.1) -> int:
            report(0.5, step=0)
            return 1
    """
    codes = []
    for hint in ("float", "Annotated[float, Between(0.01, 0.5, log=True)]", "Annotated[float, Between(0.1, 1)]"):
        project = write_project(place.root, text.format(hint))
        codes.append(CodeIndex(project).reached("pipeline", "fit"))
    assert codes[0] == codes[1] == codes[2]


@pytest.mark.parametrize("bad", [(1, 1), (2, 1), (float("nan"), 1)])
def test_a_range_without_values_is_refused(bad: tuple[float, float]) -> None:
    """Also one that counts factors from 0, and steps that are too long."""
    with pytest.raises(UsageError, match="holds no values"):
        Between(*bad)
    with pytest.raises(UsageError, match="begins above 0"):
        Between(0, 1, log=True)
    for step in (0, -1, 2):
        with pytest.raises(UsageError, match="such steps"):
            Between(0, 1, step=step)
