"""The shipped data is the source's, dirty as it came, and can be made again."""

from __future__ import annotations

import gzip
import hashlib
import random
import runpy
from collections import Counter
from pathlib import Path

import kairos.examples

FOLDER = Path(kairos.examples.__file__).parent / "bikes" / "data"
SCRIPT = Path(__file__).parents[2] / "scripts" / "make_bikes_data.py"


def lines() -> list[str]:
    return gzip.decompress((FOLDER / "bikes.csv.gz").read_bytes()).decode().splitlines()


def test_the_text_is_exactly_the_one_that_was_made_once() -> None:
    """Its SHA-256 is pinned: figures in the docs were measured on these bytes."""
    text = gzip.decompress((FOLDER / "bikes.csv.gz").read_bytes())
    assert hashlib.sha256(text).hexdigest() == "5213ee4a136913abfdb47f5a159545aa7b540752cc37186931fc51e905be00a4"


def test_the_totals_are_the_source_s() -> None:
    """17,379 rows, 620,017 casual and 2,672,662 registered rentals, 3,292,679 in all; no hour twice."""
    rows = [line.split(",") for line in lines()[1:]]
    assert len(rows) == 17_379
    assert [sum(int(row[i]) for row in rows) for i in (11, 12, 13)] == [620_017, 2_672_662, 3_292_679]
    assert len({(row[0], row[2]) for row in rows}) == len(rows)
    assert (rows[0][0], rows[-1][0]) == ("2011-01-01", "2012-12-31")


def test_the_blanks_are_kept_and_the_readme_counts_them() -> None:
    """875 weekdays and 1,258 weathers are missing, and nothing else."""
    header, *rows = lines()
    names = header.split(",")
    blanks = Counter(name for row in rows for name, cell in zip(names, row.split(","), strict=True) if not cell)
    assert blanks == {"weekday": 875, "weathersit": 1_258}
    assert "875 weekdays and 1,258 weathers are missing" in (FOLDER / "README.md").read_text()


def test_the_readme_names_source_and_licence() -> None:
    """CC BY 4.0 asks for it."""
    text = (FOLDER / "README.md").read_text()
    for words in ("CC BY 4.0", "Fanaee-T", "Gama", "Capital Bikeshare", "UCI Machine Learning Repository"):
        assert words in text


def test_the_script_makes_the_same_file_from_shuffled_rows() -> None:
    """Sorting is all that was done, and the gzip header carries neither a name nor a time."""
    script = runpy.run_path(str(SCRIPT))
    header, *rows = lines()
    shuffled = random.Random(0).sample(rows, len(rows))
    packed = script["compress"]("\n".join([header, *script["sort_rows"](shuffled)]) + "\n")
    assert gzip.decompress(packed).decode().splitlines() == [header, *rows]
    assert packed[3:8] == b"\0\0\0\0\0"
    assert (FOLDER / "bikes.csv.gz").read_bytes()[3:8] == b"\0\0\0\0\0"
