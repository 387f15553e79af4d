"""The real ``dvc``, run as a command, and a repository that it made."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["dvc", "dvc_each", "git", "make_history"]


_EACH = """
import json, sys
from dvc.cli import main
for words in json.loads(sys.argv[1]):
    if main(words) != 0:
        sys.exit(f"dvc {words} failed")
"""


def dvc(project: Path, *arguments: str) -> str:
    """Runs the real command, away from the settings and caches of whoever runs the tests; returns what it printed."""
    return _run(project, ["-m", "dvc", *arguments])


def dvc_each(project: Path, *commands: str) -> str:
    """Runs several in one process, as it takes a second to start; words are parted by spaces."""
    return _run(project, ["-c", _EACH, json.dumps([command.split(" ") for command in commands])])


def git(project: Path, *arguments: str) -> str:
    """Runs Git as somebody who has a name."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(project: Path, words: list[str]) -> str:
    base = project.parent
    environment = os.environ | {
        "HOME": str(base),
        "XDG_CONFIG_HOME": str(base / "config"),
        "DVC_SITE_CACHE_DIR": str(base / "site"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_TEST": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run([sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


CONFIG = """\
[core]
    remote = store
    autostage = true
[cache]
    dir = ../.blobs
['remote "store"']
    url = ../../remote
"""
STAGES = """\
stages:
  each:
    foreach: [a, b]
    do:
      cmd: mkdir -p made && sed s/users/n/ raw/months/${item}.csv > made/${item}.csv
      outs:
      - made/${item}.csv
  count:
    wdir: raw
    cmd: echo 1 > count.json && mkdir -p parts && echo 2 > parts/2 && echo 3 > kept.txt
    outs:
    - parts
    - kept.txt:
        cache: false
    metrics:
    - count.json:
        cache: false
"""


def make_history(base: Path) -> Path:
    """A repository as a team has it after years with DVC, made by the real command; returns its folder.

    Pointers of DVC 2 (``notes.txt``, ``raw/months``) and 3 (``new.csv``), an import from another repository
    (``imported.csv``) and from a path (``taken.csv``), two outputs in one pointer (``two.dvc``), outputs of stages
    (``made``), a cache elsewhere, an ignored file; all of it pushed to ``remote`` beside the repository.
    """
    other, repo = base / "other", base / "repo"
    other.mkdir(parents=True)
    (other / "x.csv").write_text("a,b\n1,2\n")
    git(other, "init", "-q")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "x")
    (repo / ".dvc").mkdir(parents=True)
    git(repo, "init", "-q")
    (repo / ".dvc" / "config").write_text(CONFIG)
    (repo / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (repo / ".gitignore").write_text("/.blobs\n")
    (repo / ".dvcignore").write_text("*.tmp\n")
    (repo / "raw" / "months").mkdir(parents=True)
    (repo / "notes.txt").write_bytes(b"one\r\ntwo\r\n")
    (repo / "raw" / "months" / "a.csv").write_bytes(b"hour,users\r\n1,10\r\n")
    (repo / "raw" / "months" / "b.csv").write_bytes(b"hour,users\n2,20\n")
    (repo / "raw" / "months" / "left.tmp").write_text("x")
    (repo / "new.csv").write_text("hour,users\n3,30\n")
    (repo / "first.csv").write_text("n\n1\n")
    (repo / "second.csv").write_text("n\n2\n")
    (repo / "dvc.yaml").write_text(STAGES)
    dvc_each(
        repo,
        "add -q notes.txt raw/months new.csv first.csv second.csv",
        "import -q ../other x.csv -o imported.csv",
        "import-url -q ../other/x.csv taken.csv",
        "repro -q",
    )
    both = [(repo / f"{name}.csv.dvc").read_text() for name in ("first", "second")]
    (repo / "two.dvc").write_text(both[0] + both[1].removeprefix("outs:\n"))
    for name in ("first", "second"):
        (repo / f"{name}.csv.dvc").unlink()
    for pointer in (repo / "notes.txt.dvc", repo / "raw" / "months.dvc"):
        _age(repo / ".blobs", pointer)
    dvc_each(repo, "status -q", "push -q")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "ten years")
    return repo


def _age(cache: Path, pointer: Path) -> None:
    """Makes of a pointer and its blobs what DVC 2 would have made of the same data."""
    text = pointer.read_text().replace("  hash: md5\n", "")
    (digest,) = re.findall("md5: ([0-9a-f.dir]+)", text)
    pointer.write_text(text.replace(digest, _aged(cache, digest)))


def _aged(cache: Path, digest: str) -> str:
    blob = cache / "files" / "md5" / digest[:2] / digest[2:]
    data = blob.read_bytes()
    if digest.endswith(".dir"):
        listed = [{"md5": _aged(cache, one["md5"]), "relpath": one["relpath"]} for one in json.loads(data)]
        data = json.dumps(listed).encode()
    name = hashlib.md5(data.replace(b"\r\n", b"\n"), usedforsecurity=False).hexdigest()
    old = name + (".dir" if digest.endswith(".dir") else "")
    blob.unlink(missing_ok=True)
    (cache / old[:2]).mkdir(exist_ok=True)
    (cache / old[:2] / old[2:]).write_bytes(data)
    (cache / old[:2] / old[2:]).chmod(0o444)
    return old
