"""``data gc``: nothing that a version, a run it names, a pointer or a step's newest result needs ever goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project
from kairos.cli import main
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.fingerprint import Fingerprint
from kairos.store import Store
from kairos.store.locks import locked
from kairos.values import Digest, Json
from tests.cli.said import TypeIn
from tests.store.real_dvc import dvc


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which the person stands."""
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "own"))
    root = tmp_path / "bikes"
    (root / "data").mkdir(parents=True)
    (root / SETTINGS_FILE).write_text('[project]\nname = "p"\npipeline = "p.py"\n\n[model.demand]\nholdout = "rows"\n')
    (root / "p.py").write_text("")
    (root / "data" / "a.csv").write_text("first\n")
    (root / "data" / "b.csv").write_text("second\n")
    monkeypatch.chdir(root)
    return root


def run_of(store: Store, name: str, *outputs: str) -> Json:
    """The body of a run's fact, whose outputs are these texts."""
    made = [{"name": text, "digest": store.put_bytes(f"{name} {text}".encode())} for text in outputs]
    return {"steps": [{"step": "s", "outputs": made}]}


def package(store: Store, desk: Path, text: str) -> Digest:
    """A folder of two files, as a model's package is."""
    (desk / "kairos").mkdir(parents=True)
    (desk / "MLmodel").write_text(text)
    (desk / "kairos" / "spec.json").write_text(f"spec of {text}")
    return store.put_folder(desk)


def registered(digest: Digest, run: str) -> dict[str, Json]:
    return {"package": digest, "run": run, "origin": "manual", "reasons": []}


def texts(store: Store) -> set[str]:
    return {store.get_bytes(digest).decode() for digest in store.digests() if not digest.endswith(".dir")}


def test_versions_their_runs_and_newest_results_stay(root: Path, tmp_path: Path, type_in: TypeIn) -> None:
    """Whatever became of the version; a run that no version names goes, and it is said what it was."""
    with Project(root) as project:
        store = project.store
        for number, run in enumerate(("r1", "r2", "r3"), start=1):
            project.tell("run.finished", subject=run, body=run_of(store, run, "features", "rows"))
            if number != 2:
                made = package(store, tmp_path / f"desk{number}", f"model {number}")
                subject = f"demand@{1 if number == 1 else 2}"
                project.tell("version.registered", subject=subject, body=registered(made, run))
        project.tell("run.finished", subject="r4", body=run_of(store, "r4", "features"))
        policy = store.put_bytes(b"rows of a gate")
        body = {"verdict": "fail", "sentence": "made up", "rows": {"digest": policy}}
        project.tell("gate.decided", subject="demand@1", body=body)
        old, new = (store.put_bytes(f"{word} result".encode()) for word in ("old", "new"))
        for digest in (old, new):
            outputs = [Artifact(name="x", digest=digest, kind="bytes")]
            project.cache.put("step", Fingerprint(step="step", inputs={"rows": digest}), outputs)
        project.ledger.close()
    store.put_bytes(b"nobody knows")
    before = texts(store)

    young = type_in(root, "data", "gc", "--json").json
    assert (young["removed"], young["young"]) == ([], 4)
    dry = type_in(root, "data", "gc", "--dry-run", "--grace", "0s")
    assert "features of run r2" in dry.out
    assert "no fact and no pointer names it" in dry.out
    assert dry.out.endswith("Nothing was removed. To remove it, leave out --dry-run.\n")
    assert texts(store) == before
    done = type_in(root, "data", "gc", "--grace", "0s")
    assert done.code == 0
    assert before - texts(store) == {"r2 features", "r2 rows", "old result", "nobody knows"}
    assert type_in(root, "store", "verify").code == 0
    assert type_in(root, "data", "gc", "--grace", "0s").out.endswith("Nothing is to be removed.\n")


def test_pointers_stay_here_in_git_and_in_replays(root: Path, type_in: TypeIn) -> None:
    """Of the workspace and of the commit that is checked out always; of branches, tags and commits if asked for."""

    def git(*words: str) -> None:
        names = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        config = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *config, *words], cwd=root, check=True, capture_output=True, env=os.environ | names)

    def change(text: str) -> None:
        (root / "data" / "a.csv").write_text(text)
        assert main(["data", "add", "data"]) == 0

    git("init", "-q", "-b", "main")
    change("tagged")
    git("add", "-A")
    git("commit", "-qm", "1")
    git("tag", "v1")
    change("between")
    git("commit", "-qam", "2")
    change("head")
    git("commit", "-qam", "3")
    git("checkout", "-q", "-b", "side")
    change("side")
    git("commit", "-qam", "4")
    git("checkout", "-q", "main")
    change("work")
    store = Store(root / ".dvc" / "cache")
    with Project(root, home=root / "other" / "home") as replay:
        replay.tell("version.registered", subject="m@1", body=registered(store.put_bytes(b"replayed"), "r1"))
        replay.ledger.close()

    def left(*words: str) -> set[str]:
        found = type_in(root, "data", "gc", "--dry-run", "--grace", "0s", "--json", *words).json
        gone = {store.get_bytes(Digest(one["digest"])).decode() for one in found["removed"]}
        return {"tagged", "between", "head", "side", "work", "replayed"} - gone

    always = {"head", "work", "replayed"}
    assert left() == always
    assert left("--all-branches") == always | {"side"}
    assert left("-T") == always | {"tagged"}
    assert left("-a", "-T") == always | {"side", "tagged"}
    assert left("--all-commits") == {"tagged", "between", "head", "side", "work", "replayed"}
    (root / "data.dvc").write_text("<<<<<<< a conflict\n" + (root / "data.dvc").read_text())
    assert left() == always
    assert main(["data", "gc", "-A", "--grace", "0s"]) == 0
    assert texts(store) >= {"tagged", "between", "side", "second\n"}


def test_nothing_goes_when_it_is_not_known_what_is_needed(root: Path, type_in: TypeIn) -> None:
    """A damaged listing, a ledger that cannot be read, Git that is asked for and is not there."""
    assert main(["data", "add", "data"]) == 0
    store = Store(root / ".dvc" / "cache")
    store.put_bytes(b"nobody knows")
    before = texts(store)
    assert "in no Git repository" in type_in(root, "data", "gc", "--grace", "0s", "-a").err
    (root / "other").mkdir()
    (root / "other" / "ledger.db").write_bytes(b"no database" * 100)
    assert type_in(root, "data", "gc", "--grace", "0s").code == 1
    shutil.rmtree(root / "other")
    (listing,) = (digest for digest in store.digests() if digest.endswith(".dir"))
    store.path(listing).chmod(0o644)
    store.path(listing).write_bytes(b"[]")
    assert "is damaged" in type_in(root, "data", "gc", "--grace", "0s").err
    assert texts(store) == before


def test_dvc_and_kairos_collect_beside_each_other(root: Path, type_in: TypeIn) -> None:
    """What one leaves the other finds whole; ``dvc`` keeps its hands off while Kairos is at it, and the reverse."""
    assert main(["data", "add", "data"]) == 0
    (root / "data" / "a.csv").write_text("changed\n")
    assert main(["data", "add", "data"]) == 0
    store = Store(root / ".dvc" / "cache")
    dvc(root, "gc", "-q", "--workspace", "--force")
    assert texts(store) == {"changed\n", "second\n"}
    assert type_in(root, "data", "status").code == 0
    (root / "data" / "a.csv").write_text("again\n")
    dvc(root, "add", "-q", "data")
    assert type_in(root, "data", "gc", "--grace", "0s").code == 0
    assert texts(store) == {"again\n", "second\n"}
    assert "up to date" in dvc(root, "status")
    with locked(root / ".dvc" / "tmp" / "lock"), pytest.raises(AssertionError, match="lock"):
        dvc(root, "status")


def test_it_waits_for_who_stores_and_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is at work; by process, host and command."""
    program = (
        "import sys, time; from pathlib import Path; from kairos.app.project import Project\n"
        "from kairos.app.using import using\n"
        "with using(Project(Path('.'))): print('held', flush=True); time.sleep(1.0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert main(["data", "gc"]) == 0
    assert f"process {process.pid} on" in capsys.readouterr().err


PIPELINE = """
from kairos import step

@step
def a(*, k: int = 2) -> str:
    return f"a {k}"

@step
def b(a: str) -> str:
    return f"b of {a}"
"""


def test_a_run_goes_on_where_it_was_and_can_be_made_again(root: Path, type_in: TypeIn) -> None:
    """After a collection: the newest results are reused, and an older run is rebuilt from what it was made from."""
    settings = '[project]\nname = "p"\nwindow = "2011-01-03..2011-01-23"\n'
    (root / SETTINGS_FILE).write_text(settings)
    (root / "pipeline.py").write_text(PIPELINE)
    old = type_in(root, "run", "--json").json["id"]
    type_in(root, "run", "-p", "a.k=3", "--json")
    before = texts(Store(root / ".dvc" / "cache"))
    said = type_in(root, "data", "gc", "--grace", "0s")
    assert f"b of run {old}" in said.out
    gone = before - texts(Store(root / ".dvc" / "cache"))
    assert gone == {"a 2", "b of a 2"}
    again = type_in(root, "run", "-p", "a.k=3", "--json").json
    assert [step["status"] for step in again["steps"]] == ["reused", "reused"]
    assert type_in(root, "rebuild", old).out.splitlines()[-1] == "identical"


def test_what_facts_need_goes_to_a_remote_and_comes_back(root: Path, type_in: TypeIn) -> None:
    """``--all`` sends packages, outputs and code as well; a store that lost all of it gets it back."""
    (root / "pipeline.py").write_text(PIPELINE)
    (root / SETTINGS_FILE).write_text('[project]\nname = "p"\nwindow = "2011-01-03..2011-01-23"\n')
    type_in(root, "run")
    assert type_in(root, "data", "remote", "add", "there", "../there", "--default").code == 0
    assert type_in(root, "data", "push", "--all").code == 0
    store = Store(root / ".dvc" / "cache")
    before = set(store.digests())
    shutil.rmtree(store.files)
    assert type_in(root, "data", "pull", "--all").code == 0
    assert set(store.digests()) == before
    assert type_in(root, "store", "verify").code == 0
