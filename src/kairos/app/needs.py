"""Every blob that somebody may ask for, and who: pointers, facts, runs that versions name, newest results of steps."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kairos.app.project import Project
from kairos.delivery.state import DeliveryState
from kairos.errors import UsageError
from kairos.ledger import SqliteLedger
from kairos.pipeline.cache import StepCache
from kairos.values import Digest, canonical_json

__all__ = ["Need", "needs", "outputs_of_runs"]

_DIGEST = re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{32}(?:\.dir)?(?![0-9A-Za-z])")
"""Whatever looks like a digest counts: so a pointer with conflicts, or of another release, keeps what it names."""
_RUNS = ("run.finished", "run.failed")
_TRIED = "run.tried"


@dataclass(frozen=True, slots=True)
class Need:
    """A blob, or a folder with its files, and who needs it."""

    digest: Digest
    kind: str
    """``pointer``, ``git``, ``fact``, ``run`` or ``step``."""
    who: str
    """``data.dvc``, ``demand@3``, ``split.holdout of run r06cc9fb3bf``, …"""


def needs(
    project: Project, *, all_branches: bool = False, all_tags: bool = False, all_commits: bool = False
) -> Iterator[Need]:
    """What is needed, the strongest reasons first; a blob may be told several times.

    Facts are looked for in every home below the project, so that replays keep what they need.

    Args:
        project: Whose.
        all_branches: Whether what pointers name on any branch of Git is needed.
        all_tags: The same of tags.
        all_commits: The same of all commits.

    Raises:
        UsageError: Git is asked for, and there is none.
        LedgerError: a ledger cannot be read: nobody knows then what is needed.
        PipelineError: the same of a cache of steps.
    """
    pointers, ledgers, caches = _found(project.dvc.parent)
    for path in pointers:
        for digest in _digests(path.read_bytes()):
            yield Need(digest, "pointer", Path(os.path.relpath(path, project.root)).as_posix())
    for path in dict.fromkeys([project.home / "ledger.db", *ledgers]):
        if path.is_file():
            yield from _of_facts(SqliteLedger(path))
    for path in dict.fromkeys([project.home / "cache.db", *caches]):
        if path.is_file():
            cache = StepCache(path, is_for_reading=True)
            try:
                for place, outputs in cache.newest():
                    for output in outputs:
                        yield Need(output.digest, "step", f"{output.name}, the newest result of {place}")
                for place, digests in cache.newest_logged():
                    for digest in digests:
                        yield Need(digest, "step", f"what the newest result of {place} logged")
                for text in cache.all_notes():
                    for digest in _digests(text.encode()):
                        yield Need(digest, "step", "what steps wrote down for later")
            finally:
                cache.close()
    yield from _of_git(project.root, branches=all_branches, tags=all_tags, commits=all_commits)


def outputs_of_runs(project: Project) -> dict[Digest, str]:
    """What each output of a run is, such as ``features of run r06cc9fb3bf``; the last run's word counts."""
    return {
        digest: who
        for entry in project.ledger.read(kinds=[_TRIED, *_RUNS])
        for digest, who in _outputs(entry.subject, entry.body)
    }


def _of_facts(ledger: SqliteLedger) -> Iterator[Need]:
    state = DeliveryState.fold(ledger.read())
    runs = set[str]()
    for model in state.models.values():
        for version in model.versions.values():
            runs.add(version.run)
            yield Need(version.package, "fact", str(version.ref))
    newest = None
    for entry in ledger.read():
        if entry.kind == _TRIED:  # of many trials one is wanted, and that is made again from what is kept here
            apart = {key: value for key, value in entry.body.items() if key not in ("steps", "models")}
            for digest in _digests(canonical_json(apart)):
                yield Need(digest, "run", f"what run {entry.subject} was made from")
            continue
        if entry.kind not in _RUNS:
            for digest in _digests(canonical_json(entry.body)):
                yield Need(digest, "fact", f"{entry.kind} of {entry.subject}, entry {entry.seq}")
            continue
        # What any run was made from, such as its code, is kept: it is small, and the run can be made again with it.
        if entry.subject not in runs:
            apart = {key: value for key, value in entry.body.items() if key != "steps"}
            for digest in _digests(canonical_json(apart)):
                yield Need(digest, "run", f"what run {entry.subject} was made from")
            newest = entry if entry.kind == "run.finished" else newest
            continue
        for digest, who in _outputs(entry.subject, entry.body):
            yield Need(digest, "run", f"{who}, which a version names")
        for digest in _digests(canonical_json(entry.body)):
            yield Need(digest, "run", f"what run {entry.subject} was made from, which a version names")
    if newest is not None:
        for digest, who in _outputs(newest.subject, newest.body):
            yield Need(digest, "run", f"{who}, the newest")


def _outputs(run: str, body: dict[str, object]) -> Iterator[tuple[Digest, str]]:
    steps = body.get("steps")
    for step in steps if isinstance(steps, list) else ():
        for output in step["outputs"]:
            yield Digest(output["digest"]), f"{output['name']} of run {run}"
    kept = body.get("kept")
    for what, digest in kept.items() if isinstance(kept, dict) else ():  # without it the run cannot be made again
        if digest is not None:
            yield Digest(digest), f"{what} kept of run {run}"


def _found(root: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Pointers and locks of DVC, ledgers, and caches of steps, anywhere below a project."""
    pointers, ledgers, caches = list[Path](), list[Path](), list[Path]()
    for folder, folders, names in os.walk(root):
        for name in (".git", ".dvc"):
            if name in folders:
                folders.remove(name)
        for name in names:
            if name.endswith(".dvc") or name == "dvc.lock":
                pointers.append(Path(folder, name))
            elif name == "ledger.db":
                ledgers.append(Path(folder, name))
            elif name == "cache.db":
                caches.append(Path(folder, name))
    return sorted(pointers), sorted(ledgers), sorted(caches)


def _digests(data: bytes) -> Iterator[Digest]:
    for found in _DIGEST.findall(data):
        yield Digest(found.decode())


def _of_git(root: Path, *, branches: bool, tags: bool, commits: bool) -> Iterator[Need]:
    """What pointers name in commits: in the one that is checked out, and in those that are asked for."""
    asked = branches or tags or commits
    is_there = _git(root, "rev-parse", "--git-dir") is not None
    if not is_there:
        if asked:
            raise UsageError("The project is in no Git repository.", accepted="gc without branches, tags and commits")
        return
    heads = set((_git(root, "rev-parse", "--verify", "--quiet", "HEAD") or b"").split())
    kinds = [*(("refs/heads", "refs/remotes") if branches else ()), *(("refs/tags",) if tags else ())]
    if kinds:
        heads |= set(_asked(root, "for-each-ref", "--format=%(objectname)", *kinds).split())
    if commits:
        heads |= set(_asked(root, "rev-list", "--all").split())
    seen = set[bytes]()
    for head in sorted(heads):
        for line in _asked(root, "ls-tree", "-r", "-z", "--full-tree", head.decode()).split(b"\0"):
            about, _, name = line.partition(b"\t")
            blob = about.split(b" ")[-1]
            if (name.endswith(b".dvc") or name.rsplit(b"/", 1)[-1] == b"dvc.lock") and blob not in seen:
                seen.add(blob)
                for digest in _digests(_asked(root, "cat-file", "blob", blob.decode())):
                    yield Need(digest, "git", f"{name.decode(errors='replace')} in commit {head.decode()[:8]}")


def _asked(root: Path, *words: str) -> bytes:
    """What Git says.

    Raises:
        UsageError: it says nothing: what it would have named is not known.
    """
    said = _git(root, *words)
    if said is None:
        raise UsageError("Git did not answer, so nobody knows what is needed.", given=f"git {' '.join(words)}")
    return said


def _git(root: Path, *words: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
