"""Reading what the ledger tells about a run."""

from __future__ import annotations

from kairos.app.project import Project
from kairos.errors import NotFound, did_you_mean
from kairos.ledger import Entry
from kairos.values import Digest, Json

__all__ = ["artifact_digest", "run_entry"]


def run_entry(project: Project, run: str) -> Entry:
    """The fact that tells of a run that finished.

    Raises:
        NotFound: the ledger has no such run.
    """
    found = list(project.ledger.read(kinds=["run.finished"], subject=run))
    if not found:
        raise NotFound(f"The ledger has no finished run {run!r}.", hint="Type: kairos runs")
    return found[-1]


def artifact_digest(run: Json, name: str) -> Digest:
    """The digest of an artifact, such as ``split.holdout``, in the body of a run's fact.

    Raises:
        NotFound: the run has no such artifact.
    """
    outputs = {o["name"]: o["digest"] for step in run["steps"] for o in step["outputs"]}
    if name not in outputs:
        raise NotFound(
            f"The run {run['id']} has no artifact {name!r}.",
            accepted=", ".join(sorted(outputs)) or "nothing: it failed",
            hint=did_you_mean(name, outputs) or "Set model.NAME.holdout in kairos.toml.",
        )
    return Digest(outputs[name])
