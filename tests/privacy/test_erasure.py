"""Somebody is forgotten: nothing that was kept of her can be read again, and nothing else is lost."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import AdapterMissing, Erased, KairosError, SealBroken, StoreError, UsageError
from kairos.privacy.erasure import Erasure, KeyVault, Sealed
from kairos.privacy.pseudonyms import pseudonym
from kairos.privacy.seals import new_key, seal, unseal
from kairos.stats.bins import NumberBins
from kairos.store.predictions import Prediction, PredictionLog
from kairos.values import Window, canonical_json

MASTER = bytes(range(32))
NOW = datetime(2012, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def vault(tmp_path: Path) -> KeyVault:
    """An empty one."""
    return KeyVault(tmp_path / "keys" / "keys.db", MASTER)


@given(st.binary(max_size=200), st.binary(max_size=20), st.integers(0, 400))
def test_a_seal_opens_only_untouched(data: bytes, context: bytes, at: int) -> None:
    """With its key and context it gives the bytes back; with one bit of anything changed it gives nothing."""
    key = new_key()
    sealed = seal(key, data, context)
    assert unseal(key, sealed, context) == data
    changed = bytearray(sealed)
    changed[at % len(changed)] ^= 1
    assert unseal(key, bytes(changed), context) is None
    assert unseal(key, sealed, context + b"x") is None
    assert unseal(new_key(), sealed, context) is None
    assert unseal(key, sealed[: at % len(sealed)], context) is None


def test_what_is_sealed_opens_for_its_subject_and_in_its_place_alone(vault: KeyVault) -> None:
    """Also when the vault is opened again; two seals of the same bytes differ."""
    sealed = vault.seal("ann", b"12 Elm Street", place="p1")
    assert vault.open("ann", sealed) == b"12 Elm Street"
    assert KeyVault(vault.path, MASTER).open("ann", sealed) == b"12 Elm Street"
    assert vault.seal("ann", b"12 Elm Street", place="p1").data != sealed.data
    vault.seal("bob", b"", place="p2")
    for subject, moved in (("bob", sealed), ("ann", replace(sealed, place="p2")), ("ann", Sealed(data=b"", place=""))):
        with pytest.raises(SealBroken):
            vault.open(subject, moved)
    with pytest.raises(Erased, match="has no key") as caught:
        vault.open("nobody", sealed)
    assert (caught.value.http_status, "nobody" in str(caught.value)) == (410, False)


def test_erasure_is_proven_and_told_without_a_name(vault: KeyVault) -> None:
    """The samples open before and not after; the line for the audit says when and how many, not who."""
    samples = [vault.seal("ann", b"secret", place=f"p{i}") for i in range(3)]
    others = vault.seal("bob", b"his", place="p9")
    found = vault.erase("ann", at=NOW, samples=[*samples, others])
    assert (found.keys, found.proven, found.at) == (1, 3, NOW)
    for sample in samples:
        with pytest.raises(Erased):
            vault.open("ann", sample)
    assert vault.open("bob", others) == b"his"
    assert found.plain() == {"receipt": found.receipt, "at": "2012-03-03T12:00:00Z", "keys": 1, "proven": 3}
    assert list(vault.erasures()) == [(found.receipt, NOW, 1)]
    again = vault.erase("ann", at=NOW + timedelta(days=1))
    assert (again.keys, again.proven, again.receipt != found.receipt) == (0, 0, True)
    with pytest.raises(UsageError, match="aware"):
        vault.erase("ann", at=NOW.replace(tzinfo=None))


def test_who_comes_back_gets_a_new_key(vault: KeyVault) -> None:
    """What was sealed before stays closed, and says so; what comes after opens."""
    before = vault.seal("ann", b"old", place="p")
    vault.erase("ann", at=NOW)
    after = vault.seal("ann", b"new", place="p")
    assert vault.open("ann", after) == b"new"
    with pytest.raises(SealBroken, match="since its last erasure"):
        vault.open("ann", before)


def test_an_erasure_by_another_process_is_seen_at_once(vault: KeyVault) -> None:
    """No process remembers a key."""
    sealed = vault.seal("ann", b"secret", place="p")
    assert vault.open("ann", sealed) == b"secret"
    program = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from kairos.privacy.erasure import KeyVault\n"
        "KeyVault(Path(sys.argv[1]), bytes(range(32))).erase('ann', at=datetime(2012, 3, 3, tzinfo=UTC))"
    )
    subprocess.run([sys.executable, "-c", program, str(vault.path)], check=True)
    with pytest.raises(Erased):
        vault.open("ann", sealed)


def test_threads_that_meet_a_subject_at_once_share_its_key(vault: KeyVault) -> None:
    """All seals open, whoever made the key."""
    sealed: list[Sealed] = []

    def work(number: int) -> None:
        sealed.append(vault.seal("ann", b"x", place=str(number)))
        vault.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [vault.open("ann", one) for one in sealed] == [b"x"] * 8


def test_old_copies_are_useless_once_the_keys_are_wrapped_anew(vault: KeyVault, tmp_path: Path) -> None:
    """After an erasure and a new master key, a backup of the old file opens nothing with the new one."""
    secret, kept = vault.seal("ann", b"secret", place="p"), vault.seal("bob", b"his", place="q")
    backup = tmp_path / "backup.db"
    backup.write_bytes(vault.path.read_bytes())
    vault.erase("ann", at=NOW)
    other, new = KeyVault(vault.path, MASTER), bytes(32)
    assert vault.rewrap(new) == 1
    assert vault.open("bob", kept) == KeyVault(vault.path, new).open("bob", kept) == b"his"
    for path, master in ((vault.path, MASTER), (backup, new)):
        with pytest.raises(UsageError, match="does not open"):
            KeyVault(path, master)
    assert KeyVault(backup, MASTER).open("ann", secret) == b"secret"  # which is why the old master key is destroyed
    with pytest.raises(UsageError, match="master key of today"):  # who has not heard adds no key under the old one
        other.seal("cid", b"x", place="r")
    with pytest.raises(UsageError, match="32 bytes"):
        vault.rewrap(b"short")


def test_the_keys_are_their_owners_alone(vault: KeyVault) -> None:
    """The file is readable by its owner only, and an erasure leaves no file beside it."""
    vault.seal("ann", b"x", place="p")
    vault.erase("ann", at=NOW)
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    assert [file.name for file in vault.path.parent.iterdir()] == ["keys.db"]


def test_an_erasure_that_cannot_be_finished_is_told(vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds the file all the while: the erasure fails loudly, nothing is half done, and it can be repeated."""
    sealed = vault.seal("ann", b"x", place="p")
    monkeypatch.setattr("kairos.privacy.erasure._WAIT_S", 0.05)
    reader = sqlite3.connect(vault.path, isolation_level=None)
    hurried = KeyVault(vault.path, MASTER)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM keys").fetchall()
    with pytest.raises(StoreError, match="Nothing was written"):
        hurried.erase("ann", at=NOW)
    assert hurried.open("ann", sealed) == b"x"
    reader.execute("COMMIT")
    deletes = hurried._writing
    with monkeypatch.context() as patch:  # a reader comes between the deletion and the writing anew
        patch.setattr(hurried, "_writing", lambda: _then(deletes(), lambda: reader.execute("BEGIN IMMEDIATE")))
        with pytest.raises(StoreError, match="Erase the same subject once more"):
            hurried.erase("ann", at=NOW)
    reader.execute("ROLLBACK")
    reader.close()
    assert hurried.erase("ann", at=NOW).keys == 0
    with pytest.raises(Erased):
        hurried.open("ann", sealed)


@contextmanager
def _then(first: AbstractContextManager[sqlite3.Connection], after: Callable[[], object]) -> Iterator[Any]:
    with first as connection:
        yield connection
    after()


def test_without_the_library_the_extra_is_named(vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to type, and no traceback of an import."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(AdapterMissing, match=r"kairos-ml\[privacy\]"):
        vault.seal("ann", b"x", place="p")


def test_importing_the_room_loads_no_cryptography() -> None:
    """Nor does importing the vault: only opening one does."""
    code = "import sys, kairos.privacy, kairos.privacy.erasure; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_key_of_many_erased_subjects_is_left_in_the_file(vault: KeyVault) -> None:
    """200 subjects in pages that were split and rearranged, 20 of them erased: none of their wrapped keys remains."""
    for number in range(200):
        vault.seal(f"s{number}", b"x", place="p")
    raw = sqlite3.connect(vault.path)
    before = dict(raw.execute("SELECT name, wrapped FROM keys").fetchall())
    for number in range(0, 200, 10):
        vault.erase(f"s{number}", at=NOW)
    after = dict(raw.execute("SELECT name, wrapped FROM keys").fetchall())
    raw.close()
    gone = [key for name, key in before.items() if name not in after]
    assert (len(gone), len(after)) == (20, 180)
    content = vault.path.read_bytes()
    assert not any(key in content or key[12:44] in content for key in gone)
    assert all(key in content for key in after.values())


class Capture:
    """A prediction log whose inputs are sealed for the person they are about, and counts that hold no row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vault = KeyVault(folder / "keys" / "keys.db", MASTER)
        self.log = PredictionLog(folder / "predictions")
        self.bins = NumberBins(edges=(0.0, 10.0, 20.0, 30.0))
        self.counts = folder / "counts.json"

    def write(self, persons: list[str], ages: list[float]) -> None:
        """One prediction each."""
        rows = []
        for number, (person, age) in enumerate(zip(persons, ages, strict=True)):
            sealed = self.vault.seal(
                person, canonical_json({"age": age, "street": "12 Elm Street"}), place=f"p{number}"
            )
            rows.append(
                Prediction(
                    id=f"p{number}",
                    at=NOW + timedelta(seconds=number),
                    model="loan",
                    version=1,
                    role="champion",
                    answered=True,
                    share=0.0,
                    key=pseudonym(person, key=MASTER, purpose="entity"),
                    inputs={"sealed": b64encode(sealed.data).decode()},
                    raw=0.5,
                    output=0.5,
                    latency_us=100,
                )
            )
        writer = self.log.writer("w")
        writer.append(rows)
        writer.close()
        self.log.roll()
        self.counts.write_text(json.dumps(self.bins.counts(ages).tolist()))

    def sealed(self, person: str) -> list[Sealed]:
        """What the log holds of a person."""
        rows = self.log.predictions("loan", Window(NOW, NOW + timedelta(days=1)))
        mine = rows.filter(rows["key"] == pseudonym(person, key=MASTER, purpose="entity"))
        return [
            Sealed(data=b64decode(data), place=place)
            for data, place in zip(mine["in.sealed"].to_list(), mine["id"].to_list(), strict=True)
        ]


def test_after_an_erasure_no_byte_of_any_file_opens_a_row_and_counts_are_unchanged(tmp_path: Path) -> None:
    """Every stretch of every file is tried, as a key and as a wrapped key, with the master key at hand."""
    capture = Capture(tmp_path / "data")
    capture.write(["ann", "bob", "ann", "cid"], [41.0, 12.0, 25.0, 7.0])
    vault, rows, his = capture.vault, capture.sealed("ann"), capture.sealed("bob")
    assert [json.loads(vault.open("ann", row))["age"] for row in rows] == [41.0, 25.0]
    name, data_key = vault._name("ann"), vault._find("ann")
    assert data_key is not None
    raw = sqlite3.connect(vault.path)
    [wrapped] = raw.execute("SELECT wrapped FROM keys WHERE name = ?", (name,)).fetchone()
    raw.close()
    counts, kept = capture.counts.read_bytes(), capture.log.predictions("loan", Window(NOW, NOW + timedelta(days=1)))
    assert opening(capture.folder, name, rows[0]) == ["keys.db"]  # the search finds the key while it is there

    proof = vault.erase("ann", at=NOW, samples=rows)

    assert proof == Erasure(receipt=proof.receipt, at=NOW, keys=1, proven=2)
    assert opening(capture.folder, name, rows[0]) == []
    for file in files(capture.folder):
        content = file.read_bytes()
        for trace in (b"ann", b"12 Elm Street", data_key, wrapped, name):
            assert trace not in content, (file.name, trace)
    assert capture.counts.read_bytes() == counts
    after = capture.log.predictions("loan", Window(NOW, NOW + timedelta(days=1)))
    assert after.equals(kept)
    assert capture.bins.counts([41.0, 12.0, 25.0, 7.0]).tolist() == json.loads(counts)
    assert json.loads(vault.open("bob", his[0]))["age"] == 12.0


def files(folder: Path) -> list[Path]:
    """Every file below it."""
    return [file for file in folder.rglob("*") if file.is_file()]


def opening(folder: Path, name: bytes, row: Sealed) -> list[str]:
    """Files with a stretch of bytes that opens the row, as a key or as a key wrapped by the master key."""
    from kairos.privacy.erasure import _FORMAT, _wrapping_key

    wrapping, text, place = _wrapping_key(MASTER), row.data.removeprefix(_FORMAT), _FORMAT + row.place.encode()
    found = []
    for file in files(folder):
        content = file.read_bytes()
        candidates = {content[i : i + 32] for i in range(len(content) - 31)}
        unwrapped = (unseal(wrapping, content[i : i + 60], name) for i in range(len(content) - 59))
        candidates |= {key for key in unwrapped if key is not None} | {wrapping, MASTER}
        if any(len(np.unique(list(key))) > 4 and unseal(key, text, place) is not None for key in candidates):
            found.append(file.name)
    return found


def test_errors_of_this_room_say_no_name(vault: KeyVault) -> None:
    """A subject's name reaches no message, which may be logged."""
    sealed = vault.seal("ann@example.org", b"x", place="p")
    vault.erase("ann@example.org", at=NOW)
    for subject in ("ann@example.org", "bob@example.org"):
        with pytest.raises(KairosError) as caught:
            vault.open(subject, sealed)
        assert "example.org" not in str(caught.value)
