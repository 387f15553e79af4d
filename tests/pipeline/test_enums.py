"""A param that is typed as an ``Enum`` is a member where its step is called, and the member's name everywhere else."""

from __future__ import annotations

from typing import Any

import pytest

from kairos.errors import GraphError, UsageError
from kairos.pipeline.artifacts import decode
from tests.pipeline.projects import Place, statuses

KERNELS = """
    from enum import Enum, IntEnum

    class Kernel(Enum):
        RBF = "rbf"
        POLY = "poly"

    class Level(IntEnum):
        LOW = 1
        HIGH = 2
"""
FIT = """
    from kernels import Kernel, Level

    @step
    def fit(
        *, kernel: "Kernel" = Kernel.RBF, level: Level = Level.LOW, other: Kernel | None = None, by_default=Kernel.POLY
    ) -> dict:
        assert all(isinstance(each, Kernel) for each in (kernel, by_default)) and isinstance(level, Level)
        return {"kernel": kernel.value, "level": level + 0, "other": other and other.value}
"""


def write(place: Place, text: str = FIT, kernels: str = KERNELS) -> None:
    place.write(text, kernels=kernels)


def result(place: Place, **params: Any) -> Any:
    """What the step gave, or the error."""
    ran = place.run(params={"fit": params})
    assert ran.failure is None, ran.failure
    return decode(place.store, ran.artifact("fit"), workdir=place.root)


def test_a_step_is_given_the_member(place: Place) -> None:
    """By its name, or by its value; the run's fact has the name, so it can be read without the project's code."""
    write(place)
    assert result(place) == {"kernel": "rbf", "level": 1, "other": None}
    assert result(place, kernel="POLY", level=2, other="rbf") == {"kernel": "poly", "level": 2, "other": "rbf"}
    ran = place.run(params={"fit": {"kernel": "poly", "level": "HIGH", "other": "RBF"}})
    assert statuses(ran) == {"fit": "reused"}  # the same params, said otherwise
    assert ran.steps[0].params == {"kernel": "POLY", "level": "HIGH", "other": "RBF", "by_default": "POLY"}


def test_another_member_or_another_value_is_another_computation(place: Place) -> None:
    """Nothing runs again for a comment."""
    write(place)
    assert statuses(place.run()) == {"fit": "ran"}
    write(place, kernels=KERNELS.replace("class Level", "# how fine\n    class Level"))
    assert statuses(place.run()) == {"fit": "reused"}
    place.run(params={"fit": {"kernel": "POLY"}})
    assert place.why("fit") == ("param kernel: 'RBF' -> 'POLY'",)
    write(place, kernels=KERNELS.replace('"rbf"', '"radial"'))
    assert result(place)["kernel"] == "radial"


@pytest.mark.parametrize("given", ["RBV", "radial", 1, ["RBF"]])
def test_what_is_no_member_is_refused_before_anything_runs(place: Place, given: object) -> None:
    write(place)
    with pytest.raises(UsageError, match=r"fit.kernel is a Kernel.*RBF, POLY"):
        place.run(params={"fit": {"kernel": given}})


def test_a_default_that_is_no_single_member_is_refused(place: Place) -> None:
    place.write("""
        from enum import Flag, auto
        class May(Flag):
            READ = auto()
            WRITE = auto()
        @step
        def fit(*, may: May = May.READ | May.WRITE) -> int: return 1
    """)
    with pytest.raises(GraphError, match="'may' of step 'fit' has a default that cannot be written down"):
        place.run()
