"""A project that several tests look at; made once, because a first run and its record take a quarter of a minute."""

from __future__ import annotations

import pytest

from tests.e2e.commands import Deployed, kairos


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """From nothing to a first version that is live, with an edit of the user's that is not committed."""
    home = tmp_path_factory.mktemp("home")
    said = {"init": kairos(home, "init", "mybikes")}
    project = home / "mybikes"
    with (project / "pipeline.py").open("a") as file:
        file.write("\n# mine now\n")
    said["run"] = kairos(project, "run")
    said["gate"] = kairos(project, "gate", "demand")
    said["deploy"] = kairos(project, "deploy", "demand@1", record="wait")  # MLflow has all three then
    return Deployed(project=project, said=said)
