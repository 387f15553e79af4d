"""Pointers told without PyYAML: what is told is what it would tell, and the rest is left to it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from kairos.store.plain_yaml import as_plain, read_plain
from kairos.store.yaml12 import dump_yaml, load_yaml
from kairos.values import Json

ODD = [
    "no",
    "null",
    "True",
    "1e5",
    "2011-01-01",
    "a: b",
    "a #b",
    "- a",
    "x" * 61,
    "a b",
    "'",
    "é",
    "a\n",
    "0x1f",
    "..",
    "",
]
TEXTS = some.one_of(
    some.sampled_from([*ODD, "data", "data/raw_1.csv", "a.dir", "_", "Data-2/"]), some.text("aZ1_.-/: #'\n", max_size=6)
)
DIGESTS = some.one_of(
    some.text("0123456789abcdef", min_size=32, max_size=32), some.text("0123456789e", min_size=32, max_size=32)
)
OUTPUTS = some.dictionaries(
    some.sampled_from(["md5", "size", "nfiles", "hash", "path", "isexec", "desc"]),
    some.one_of(TEXTS, DIGESTS, DIGESTS.map(lambda md5: md5 + ".dir"), some.integers(-1, 10**19), some.booleans()),
    min_size=1,
)


@given(OUTPUTS, some.sampled_from([{}, {"desc": "a"}, {"deps": []}]))
@example({"md5": "1" * 31 + "e", "path": "a"}, {})
@example({"md5": "d3b07384d113edec49eaa6238ad5ff00.dir", "size": 9, "nfiles": 3, "hash": "md5", "path": "data"}, {})
def test_what_is_told_is_what_yaml_says(output: dict[str, Json], more: dict[str, Json]) -> None:
    """Written and read, byte for byte and value for value."""
    content: dict[str, Json] = {"outs": [output], **more}
    data = dump_yaml(content)
    assert as_plain(content) in (None, data)
    assert read_plain(data) in (None, load_yaml(data))


@given(OUTPUTS)
def test_what_people_wrote_without_quotes_is_what_yaml_says(output: dict[str, Json]) -> None:
    """Or it is left to it: what it refuses is not told."""
    data = ("outs:\n- " + "\n  ".join(f"{key}: {value}" for key, value in output.items()) + "\n").encode()
    found = read_plain(data)
    assert found is None or found == load_yaml(data)


def test_what_dvc_writes_needs_no_library() -> None:
    """A pointer to a folder, and to a file."""
    folder = b"outs:\n- md5: d3b07384d113edec49eaa6238ad5ff00.dir\n  size: 9\n  nfiles: 3\n  hash: md5\n  path: data\n"
    for data in (folder, folder.replace(b"  nfiles: 3\n", b"").replace(b".dir", b"")):
        found = read_plain(data)
        assert found is not None
        assert as_plain(found) == data == dump_yaml(found)


@pytest.mark.parametrize(
    "data", [b"", b"outs:\n", b"outs:\n- path: a", b"outs:\n- path: a\n  path: b\n", b"x:\n- path: a\n"]
)
def test_other_forms_are_left_to_yaml(data: bytes) -> None:
    """Nothing of them is guessed."""
    assert read_plain(data) is None
