"""Who vouches for the code in a package: signatures that hold, and those that do not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sklearn.base import BaseEstimator, RegressorMixin

from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.serving import _Wiring
from kairos.app.signing import PASSWORD, PRIVATE_KEY, sign, signed_if_needed, verify
from kairos.cli import main
from kairos.errors import PackageError, SettingsError, UsageError
from kairos.models.finish import ModelOptions
from kairos.values import Digest
from tests.models.trainings import finish, hours

SETTINGS = """
[project]
name = "toy"

[signing]
keys = ["team.pub"]

[model.demand]
holdout = "split.holdout"
time = "hour"
target = "users"
allow_pickle = "signed"
"""


class Own(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that only pickle can keep."""

    def __init__(self, level: float = 7.0) -> None:
        self.level = level

    def fit(self, frame: object, target: object) -> Own:
        """Learns nothing."""
        self.fitted_ = True
        return self

    def predict(self, frame: object) -> list[float]:
        """A constant."""
        return [self.level] * len(frame)  # type: ignore[arg-type]


def make_pair(folder: Path, name: str, *, password: bytes | None = None) -> Path:
    """Writes ``NAME.key`` and ``NAME.pub``; returns the private one."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    closed = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, closed))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
    return folder / f"{name}.key"


class Bench:
    """A project with one registered version that is a pickle, and the team's keys."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        (root / "kairos.toml").write_text(SETTINGS)
        self.root = root
        self.key = make_pair(root, "team")
        self.project = Project(root, actor="ann")
        self.package = self.add(7.0)
        self.project.tell(
            "version.registered",
            subject="demand@1",
            body={"package": self.package, "run": "r1", "origin": "manual", "reasons": []},
        )

    def add(self, level: float) -> Digest:
        """Stores a package whose answers are this number."""
        options = ModelOptions(time="hour", allow_pickle=True)
        return self.project.store.put_folder(finish(self.root / f"made-{level}", Own(level), options, train=hours()))

    def answer(self, package: Digest) -> float:
        """What a package answers, opened as the loop opens it."""
        opened = open_version(self.project, package, self.project.settings.model("demand"))
        [said] = opened.runner().predict(opened.spec.signature.parse_rows([opened.example]))
        return float(said)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Its own, without a key in the environment."""
    monkeypatch.delenv(PRIVATE_KEY, raising=False)
    monkeypatch.delenv(PASSWORD, raising=False)
    return Bench(tmp_path / "toy")


def test_code_is_loaded_only_from_a_package_that_the_team_signed(bench: Bench) -> None:
    """By the loop and by the model server; who signed and with which key is known."""
    with pytest.raises(PackageError, match=r"not signed.*kairos models sign"):
        bench.answer(bench.package)
    with pytest.raises(PackageError, match="not signed"):
        _Wiring(bench.project).load(bench.package)
    signature = sign(bench.project, bench.package, key=bench.key)
    assert bench.answer(bench.package) == 7.0
    assert _Wiring(bench.project).load(bench.package).allow_pickle
    held = verify(bench.project, bench.package)
    assert (held.signature, held.by, Path(held.key).name) == (signature, "ann", "team.pub")


def test_a_signature_of_one_package_opens_no_other(bench: Bench) -> None:
    """Not even if somebody who can write facts says that it does; the file that differs is named."""
    signature = sign(bench.project, bench.package, key=bench.key)
    other = bench.add(8.0)
    bench.project.tell("package.signed", subject=other, body={"package": other, "signature": signature})
    with pytest.raises(PackageError, match=r"Given: other bytes in MLmodel; .*; other bytes in model\.pkl\.$"):
        bench.answer(other)


def test_a_changed_byte_in_any_file_is_refused_by_its_name(bench: Bench, tmp_path: Path) -> None:
    """Of a signed package whose list of files was changed with it, too."""
    signature = sign(bench.project, bench.package, key=bench.key)
    store = bench.project.store
    for name in sorted(store.listing(bench.package)):
        folder = tmp_path / "changed"
        store.checkout(bench.package, folder)
        (folder / name).chmod(0o644)
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        changed = store.put_folder(folder)
        bench.project.tell("package.signed", subject=changed, body={"package": changed, "signature": signature})
        with pytest.raises(PackageError, match=name.replace(".", r"\.")):
            verify(bench.project, changed)


def test_a_file_more_or_less_is_told_by_its_name(bench: Bench, tmp_path: Path) -> None:
    """A signature is of all files."""
    signature = sign(bench.project, bench.package, key=bench.key)
    for name, words in ((".gitignore", r"extra files: \.gitignore\.$"), ("MLmodel", r"missing files: MLmodel\.$")):
        folder = tmp_path / name
        bench.project.store.checkout(bench.package, folder)
        place = folder / name
        place.unlink() if place.exists() else place.write_text("*")
        changed = bench.project.store.put_folder(folder)
        bench.project.tell("package.signed", subject=changed, body={"package": changed, "signature": signature})
        with pytest.raises(PackageError, match=words):
            verify(bench.project, changed)


def test_a_stranger_s_signature_does_not_count(bench: Bench) -> None:
    """Until the project names the stranger's key; and where it names none, it has to."""
    stranger = make_pair(bench.root, "stranger")
    sign(bench.project, bench.package, key=stranger)
    with pytest.raises(PackageError, match=r"does not hold for the key 'team\.pub'"):
        bench.answer(bench.package)
    assert verify(bench.project, bench.package, keys=[bench.root / "stranger.pub"]).by == "ann"
    (bench.root / "kairos.toml").write_text(SETTINGS.replace('keys = ["team.pub"]', ""))
    with pytest.raises(SettingsError, match="names no key"):
        verify(Project(bench.root), bench.package)


def test_what_training_makes_is_signed_by_itself_where_the_private_key_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; elsewhere it stays unsigned."""
    signed_if_needed(bench.project, bench.package)
    with pytest.raises(PackageError, match="not signed"):
        bench.answer(bench.package)
    monkeypatch.setenv(PRIVATE_KEY, str(make_pair(bench.root, "team", password=b"s3cret")))
    monkeypatch.setenv(PASSWORD, "s3cret")
    for _ in range(2):
        signed_if_needed(bench.project, bench.package)
    assert bench.answer(bench.package) == 7.0
    assert len(list(bench.project.ledger.read(kinds=("package.signed",)))) == 1


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN EC PRIVATE KEY-----\nno\n-----END EC PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_named(bench: Bench, content: bytes | None) -> None:
    """With what is accepted, and how one is made."""
    place = bench.root / "bad.key"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(UsageError, match=r"'bad\.key' cannot be used as a private key(.|\n)*openssl ecparam"):
        sign(bench.project, bench.package, key=place)
    sign(bench.project, bench.package, key=bench.key)
    with pytest.raises(UsageError, match=r"bad\.key"):
        verify(bench.project, bench.package, keys=[place])


PEM = serialization.Encoding.PEM
OPEN = serialization.NoEncryption()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "it is of RSA"),
        (ed25519.Ed25519PrivateKey.generate, "it is of Ed25519"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "its curve is secp256k1"),
    ],
)
def test_a_key_of_another_kind_is_called_by_its_kind(bench: Bench, make: Callable[[], Any], words: str) -> None:
    """Private or public; and one in the place of the other is called that."""
    key = make()
    private, public = bench.root / "other.key", bench.root / "other.pub"
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, OPEN))
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    sign(bench.project, bench.package, key=bench.key)
    with pytest.raises(UsageError, match=f"as a private key: {words}"):
        sign(bench.project, bench.package, key=private)
    with pytest.raises(UsageError, match=f"as a public key: {words}"):
        verify(bench.project, bench.package, keys=[public])
    with pytest.raises(UsageError, match="as a private key: it holds the public one"):
        sign(bench.project, bench.package, key=bench.root / "team.pub")
    with pytest.raises(UsageError, match="as a public key: it holds the private one"):
        verify(bench.project, bench.package, keys=[bench.key])


def test_a_closed_key_asks_for_its_password_and_an_open_one_for_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable may be set for another key."""
    closed = make_pair(bench.root, "closed", password=b"s3cret")
    with pytest.raises(UsageError, match=r"it is closed, and no password is said(.|\n)*Set KAIROS_SIGNING_PASSWORD"):
        sign(bench.project, bench.package, key=closed)
    monkeypatch.setenv(PASSWORD, "other")
    with pytest.raises(UsageError, match="the password does not open it"):
        sign(bench.project, bench.package, key=closed)
    sign(bench.project, bench.package, key=bench.key)
    verify(bench.project, bench.package)


def test_the_library_s_own_command_takes_the_signature(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody without Kairos can verify a package; one changed byte, and it is refused there as well."""
    there = ["-C", str(bench.root), "models"]
    assert main([*there, "sign", "demand@1", "--key", str(bench.key), "-o", str(tmp_path / "demand.sig")]) == 0
    assert main([*there, "verify", "demand@1"]) == 0
    assert re.search(r"demand@1 is as \w+ signed it \(entry 2\).*\n.* holds for team\.pub", capsys.readouterr().out)
    folder = tmp_path / "package"
    bench.project.store.checkout(bench.package, folder)
    command = [
        sys.executable, "-m", "model_signing", "verify", "key", str(folder),
        "--signature", str(tmp_path / "demand.sig"), "--public_key", str(bench.root / "team.pub"),
    ]  # fmt: skip
    assert subprocess.run(command, capture_output=True).returncode == 0
    (folder / "model.pkl").chmod(0o644)
    (folder / "model.pkl").write_bytes(b"other")
    assert subprocess.run(command, capture_output=True).returncode != 0
