"""Listings read piece by piece: what the whole of them says, whatever is written there."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kairos.errors import BlobDamaged
from kairos.store import Store
from kairos.store.folders import ListingWriter, listing_bytes, parse_listing, read_listing
from kairos.values import Digest

NAME = Digest("1" * 32 + ".dir")
LETTERS = 'a"\\/{}[],: .é\u2028\U0001f600\x01\x7f~'
PATHS = some.one_of(
    some.lists(some.text(LETTERS, min_size=1, max_size=5), min_size=1, max_size=3).map("/".join),
    some.sampled_from(['"}, {"md5": "', '", "relpath": "', "}, {", "a\\", '", "b', "\\", '\\"', "null", "[]"]),
)
DIGESTS = some.text("0123456789abcdef", min_size=32, max_size=32)
PIECES = some.sampled_from([1, 7, 60, 200, 1 << 20])


def read(data: bytes, piece_bytes: int) -> dict[str, str] | None:
    """What piece by piece comes out; ``None``: it is refused."""
    found = dict[str, str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kairos.store.folders._PIECE_BYTES", piece_bytes)
        try:
            for entries in read_listing(io.BytesIO(data), NAME):
                assert entries.names
                for name, digest in zip(*entries, strict=True):
                    assert not found or name > next(reversed(found))
                    found[name] = digest
        except BlobDamaged:
            return None
    return found


def whole(data: bytes) -> dict[str, str] | None:
    """What the whole of it says; ``None``: it is refused."""
    try:
        return dict(parse_listing(data, NAME))
    except BlobDamaged:
        return None


def is_inside(name: str) -> bool:
    return not {"", ".", ".."} & set(name.split("/"))


@given(some.dictionaries(PATHS, DIGESTS, max_size=20), PIECES)
def test_what_dvc_writes_is_read_as_json_reads_it(files: dict[str, str], piece_bytes: int) -> None:
    """Names with quotes, braces, backslashes and other letters, cut at any place: the same files in their order."""
    data = json.dumps([{"md5": files[name], "relpath": name} for name in sorted(files)]).encode()
    expected = {entry["relpath"]: entry["md5"] for entry in json.loads(data)}
    assert read(data, piece_bytes) == (expected if all(map(is_inside, files)) else None)


@given(some.lists(some.tuples(PATHS, DIGESTS), min_size=1, max_size=12), PIECES, some.data())
def test_what_nobody_wrote_is_never_misread(
    entries: list[tuple[str, str]], piece_bytes: int, data: some.DataObject
) -> None:
    """Twice the same name, any order, other spaces, keys and bytes: as the whole says it, or refused."""
    more: dict[str, object] = data.draw(some.sampled_from([{}, {"size": 3}, {"md5-x": "}, {"}]))
    indent = data.draw(some.sampled_from([None, None, 1]))
    text = json.dumps([{"md5": digest, "relpath": name} | more for name, digest in entries], indent=indent)
    text += data.draw(some.sampled_from(["", "\n"]))
    at, cut = data.draw(some.integers(0, len(text) - 1)), data.draw(some.integers(0, 3))
    put = data.draw(some.sampled_from(["", '"', "\\", "}", '"}, {"md5": "', ", ", "0", "é", "\x01", "/"]))
    harmed = (text[:at] + put + text[at + cut :]).encode()
    found, expected = read(harmed, piece_bytes), whole(harmed)
    if found is not None:
        assert found == expected
    elif expected is not None:  # refused though its whole can be read: only for its order, and only if it is long
        names = [entry["relpath"] for entry in json.loads(harmed)]
        assert names != sorted(set(names))
        assert len(harmed) > piece_bytes


@given(some.lists(some.dictionaries(PATHS, DIGESTS, max_size=4), max_size=4))
@settings(max_examples=50)
def test_written_piece_by_piece_it_has_dvcs_bytes(
    tmp_path_factory: pytest.TempPathFactory, parts: list[dict[str, str]]
) -> None:
    """However many files are added at once."""
    files = {f"{number}{name}": digest for number, part in enumerate(parts) for name, digest in part.items()}
    with ListingWriter(tmp_path_factory.mktemp("listing")) as writer:
        for number, part in enumerate(parts):
            names = sorted(f"{number}{name}" for name in part)
            writer.add(names, [files[name] for name in names])
        path, _ = writer.end()
        assert Path(path).read_bytes() == listing_bytes({name: Digest(digest) for name, digest in files.items()})


def test_a_listing_that_was_changed_gives_no_file(tmp_path: Path) -> None:
    """All of its bytes are held against its digest before the first name is given."""
    store = Store(tmp_path / "cache")
    (tmp_path / "data").mkdir()
    for number in range(20):
        (tmp_path / "data" / str(number)).write_text("x")
    digest = store.put_folder(tmp_path / "data")
    path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"9"', b'"8"'))
    with pytest.raises(BlobDamaged, match=digest):
        next(store.entries(digest))
