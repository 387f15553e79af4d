"""Contracts of Pandera as annotations: what breaks one stops the run, is named, and is kept aside."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kairos.errors import GraphError
from kairos.examples.bikes import pipeline as bikes
from kairos.pipeline.contract_draft import draft_contract
from kairos.pipeline.diff.files import TableFiles
from kairos.store import Store
from kairos.store.tables import read_table
from tests.pipeline.projects import Place

pytest.importorskip("pandera", reason="the extra `contracts` is not installed", exc_type=ImportError)

TEXT = """
    import polars as pl
    from contract import DataFrame, Rentals

    class Parts(NamedTuple):
        early: DataFrame[Rentals]
        late: pl.DataFrame

    @source(files=["rentals.csv"])
    def rentals() -> DataFrame[Rentals]:
        return pl.read_csv("rentals.csv")

    @step
    def parts(rentals: pl.DataFrame, *, spoil: bool = False) -> Parts:
        half = rentals.with_columns(temp=pl.lit(1000.0)) if spoil else rentals
        return Parts(half, rentals)

    @step
    def count(late: DataFrame[Rentals]) -> int:
        return len(late)
"""


@pytest.fixture
def write(place: Place) -> Callable[[pl.DataFrame], None]:
    """Writes a project over rows of bikes, with the contract that is drafted from those of January."""
    rows = pl.read_csv(Path(bikes.__file__).parent / bikes.DATA).filter(pl.col("dteday") < "2011-02-01")
    rows.write_csv(place.root / "rentals.csv")
    files = TableFiles(name="rentals", format="csv", paths=(place.root / "rentals.csv",))
    code = draft_contract(files, name="Rentals", fewest=lambda rows: 10)

    def written(change: Callable[[pl.DataFrame], pl.DataFrame], contract: Callable[[str], str] = str) -> None:
        change(rows).write_csv(place.root / "rentals.csv")
        place.write(TEXT, contract=contract(code))

    return written  # type: ignore[return-value]


def kept(place: Place, message: str) -> pl.DataFrame:
    digest = message.partition("kairos data show ")[2].split()[0]
    return read_table(Store(place.store.root), digest)  # type: ignore[arg-type]


def test_the_rows_that_a_contract_was_drafted_from_keep_it(place: Place, write: Callable[..., None]) -> None:
    """A draft is true of its own data, as a result, as a field and as an input."""
    write(lambda rows: rows)
    assert place.run().ok


@pytest.mark.parametrize(
    ("change", "said", "rows"),
    [
        (
            pl.when(pl.col("hr") == "6am").then(-200.0).otherwise("temp").alias("temp"),
            "'temp' greater_than_or_equal",
            28,
        ),
        (pl.when(pl.col("hr") == "6am").then(pl.lit("Fog")).otherwise("workingday").alias("workingday"), "isin", 28),
        (pl.lit("1am").alias("hr"), "'dteday, hr' not unique", 688),
        (pl.lit(1).alias("new"), "'new' is not declared", None),
        (pl.col("cnt").cast(pl.Float64) + 0.5, "'cnt' dtype('Int64')", None),
    ],
    ids=["range", "level", "key", "column", "type"],
)
def test_a_broken_contract_stops_the_run(
    place: Place, write: Callable[..., None], change: pl.Expr, said: str, rows: int | None
) -> None:
    """Nothing downstream runs; columns and checks are named, values are not, and the rows are kept."""
    write(lambda table: table.with_columns(change))
    result = place.run()
    assert [step.status for step in result.steps] == ["failed", "not_run", "not_run"]
    assert result.failure is not None
    assert result.failure.type == "DataRefused"
    assert "What step 'rentals' returned breaks its contract Rentals" in result.failure.message
    assert said in result.failure.message
    assert "Fog" not in result.failure.message
    assert "-200" not in result.failure.message
    if rows is not None:
        assert f"in {rows} rows" in result.failure.message
        assert kept(place, result.failure.message).height == rows


def test_a_missing_column_is_named(place: Place, write: Callable[..., None]) -> None:
    """By its name."""
    write(lambda rows: rows.drop("hum"))
    failure = place.run().failure
    assert failure is not None
    assert "'hum' is missing" in failure.message


def test_fields_and_inputs_are_checked_too(place: Place, write: Callable[..., None]) -> None:
    """Each by its own annotation."""
    write(lambda rows: rows)
    failure = place.run(params={"parts": {"spoil": True}}).failure
    assert failure is not None
    assert "Field 'early' of what step 'parts' returned breaks its contract Rentals" in failure.message


def test_another_contract_runs_the_step_again(place: Place, write: Callable[..., None]) -> None:
    """What was reused kept the contract that is there now; a check may warn instead of stopping."""
    write(lambda rows: rows)
    assert place.run().ok
    assert {step.status for step in place.run().steps} == {"reused"}
    stricter = "casual: pl.Int64 = pa.Field(ge=0, le=1"
    write(lambda rows: rows, lambda code: code.replace("casual: pl.Int64 = pa.Field(ge=0, le=", stricter))
    assert {step.status for step in place.run().steps} != {"reused"}
    write(
        lambda rows: rows.with_columns(temp=pl.lit(99.0)),
        lambda code: code.replace("temp: pl.Float64 = pa.Field(", "temp: pl.Float64 = pa.Field(raise_warning=True, "),
    )
    assert place.run().ok


PANDAS = """
    import pandas as pd
    import pandera.pandas as pa
    from pandera.typing import DataFrame, Series

    class Rentals(pa.DataFrameModel):
        hour: Series[int] = pa.Field(ge=0, le=23)

    @source(files=["pipeline.py"])
    def rentals() -> DataFrame[Rentals]:
        return pd.DataFrame({"hour": [5, 24, 6]})
"""


def test_tables_of_pandas_are_checked_as_well(place: Place) -> None:
    """By the models of Pandera for pandas."""
    failure = place.run(PANDAS).failure
    assert failure is not None
    assert "breaks its contract Rentals in 1 row." in failure.message
    assert kept(place, failure.message).to_dicts() == [{"hour": 24}]


HIDDEN = """
    from typing import TYPE_CHECKING
    import polars as pl
    from contract import DataFrame, Rentals

    if TYPE_CHECKING:
        import numpy as np

    @source(files=["rentals.csv"])
    def rentals() -> pl.DataFrame:
        return pl.read_csv("rentals.csv")

    @step
    def weights(rentals: pl.DataFrame) -> np.ndarray:
        return rentals["temp"].to_numpy()

    @step
    def count(weights: np.ndarray, rentals: DataFrame[Rentals] | None) -> int:
        return len(rentals)
"""


def test_a_name_of_the_type_checker_hides_no_contract(place: Place, write: Callable[..., None]) -> None:
    """Beside an annotation that cannot be read, and that is none, the others are checked; also optional ones."""
    write(lambda rows: rows.with_columns(temp=pl.lit(1000.0)))
    failure = place.run(HIDDEN).failure
    assert failure is not None
    assert "The input 'rentals' of step 'count' breaks its contract Rentals" in failure.message


@pytest.mark.parametrize(
    ("hidden", "parameter", "place_told", "given"),
    [
        ("from contract import Rentals", "DataFrame[Rentals]", "The input 'rentals'", "'Rentals' is not known"),
        ("from pandera.typing.polars import Series", "Series", "The input 'rentals'", "'Series' is not known"),
        ("Table = DataFrame", "Table", "The input 'rentals'", "'Table' is not known"),
    ],
)
def test_a_contract_that_cannot_be_read_is_refused(
    place: Place, hidden: str, parameter: str, place_told: str, given: str
) -> None:
    """Before anything runs, with the name and what to write; contracts are never left out without a word."""
    text = f"""
    from typing import TYPE_CHECKING
    from pandera.typing.polars import DataFrame

    if TYPE_CHECKING:
        {hidden}

    @source
    def rentals() -> int:
        return 1

    @step
    def count(rentals: {parameter}) -> int:
        return 1
    """
    with pytest.raises(GraphError, match=place_told) as caught:
        place.run(text)
    assert given in str(caught.value)
    assert "out of `if TYPE_CHECKING:`" in str(caught.value)


def test_a_field_that_cannot_be_read_is_refused(place: Place) -> None:
    """Also of a class that another module defines, as soon as that is loaded to run a step."""
    parts = """
    from typing import TYPE_CHECKING

    if TYPE_CHECKING:
        from contract import DataFrame, Rentals

    class Parts(NamedTuple):
        early: DataFrame[Rentals]
    """
    steps = "\n    @source\n    def parts() -> Parts:\n        return Parts(1)\n"
    with pytest.raises(GraphError, match="Field 'early' of the result of step 'parts'"):
        place.run(parts + steps)
    head = "from __future__ import annotations\nfrom typing import NamedTuple\n"
    place.write(
        "    from others import Parts" + steps,
        others=head + textwrap.dedent(parts),
    )
    failure = place.run().failure
    assert failure is not None
    assert "Field 'early' of the result of step 'parts'" in failure.message
