"""``store verify``, and a server whose package is gone: what is wrong is said, with what needs it, and ends with 1."""

from __future__ import annotations

from pathlib import Path

from kairos.app.project import Project
from kairos.store.blobs import Store
from tests.cli.said import TypeIn


def _package_of(root: Path, number: int) -> str:
    return str(Project(root).state().model("demand").version(number).package)


def test_a_version_without_its_bytes_is_named(toy: Path, type_in: TypeIn) -> None:
    """The packages of this ledger were never stored."""
    told, plain = type_in(toy, "store", "verify"), type_in(toy, "store", "verify", "--json")
    assert (told.code, plain.code) == (1, 1)
    assert f"{_package_of(toy, 1)} is missing, needed by demand@1" in told.out
    assert not plain.json["is_sound"]
    assert {name for one in plain.json["harmed"] for name in one["needed_by"]} >= {"demand@1", "demand@4"}


def test_changed_bytes_are_damaged_and_whole_ones_sound(toy: Path, type_in: TypeIn) -> None:
    """Also those that no fact names; a store without damage is said to be sound."""
    (toy / ".kairos" / "ledger.db").unlink()
    store = Store(toy / ".dvc" / "cache")
    digest = store.put_bytes(b"something")
    said = type_in(toy, "store", "verify")
    assert (said.code, said.out.startswith("The store is sound: ")) == (0, True)
    file = store.path(digest)
    file.chmod(0o644)
    file.write_bytes(b"another thing")
    said = type_in(toy, "store", "verify")
    assert said.code == 1
    assert said.out.startswith(f"{digest} is damaged, needed by no fact\n")


def test_tracked_data_is_named_by_its_path(toy: Path, type_in: TypeIn) -> None:
    """A file of a folder that is damaged, and one that is gone, which no step makes again."""
    (toy / ".kairos" / "ledger.db").unlink()
    (toy / "months").mkdir()
    for name in ("january", "february"):
        (toy / "months" / name).write_text(name)
    assert type_in(toy, "data", "add", str(toy / "months")).code == 0
    store = Store(toy / ".dvc" / "cache")
    january, february = (store.path(store.put_bytes(name.encode())) for name in ("january", "february"))
    february.unlink()
    said = type_in(toy, "store", "verify")
    assert "1 blobs of tracked data (months) are not here. Type: kairos data pull" in said.out
    assert "earlier runs" not in said.out
    january.chmod(0o644)
    january.write_text("another")
    said = type_in(toy, "store", "verify")
    assert said.code == 1
    assert said.out.splitlines()[0].endswith(" is damaged, needed by months")


def test_a_server_that_can_load_nothing_does_not_say_that_it_serves(toy: Path, type_in: TypeIn) -> None:
    """It ends with an error before it listens, names the version and says what to look at."""
    said = type_in(toy, "serve", "--port", "0")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: Nothing is served: demand@1 is live, but cannot be loaded.\n")
    assert "kairos store verify" in said.err
    assert type_in(toy, "serve", "--port", "0", "--json").error["code"] == "unavailable"
