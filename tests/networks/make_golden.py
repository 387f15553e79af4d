"""Writes ``tests/golden/network``: a package, and what its network answers, for environments without PyTorch.

    .venv-torch/bin/python -m tests.networks.make_golden

Not needed again: the package is there to show that those of this version are read for ever.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from kairos.models.package import open_package
from kairos.models.score import score_columns
from tests.models.trainings import OPTIONS, finish
from tests.networks.modules import TABLE, made

GOLDEN = Path(__file__).parents[1] / "golden/network"


def main() -> None:
    """Writes both."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(finish(Path(folder) / "made", made("embedded"), OPTIONS, train=TABLE), GOLDEN / "package")
    package = open_package(GOLDEN / "package")
    answers = package.native_runner().predict(score_columns(package, TABLE.head(100)))
    (GOLDEN / "answers.json").write_text(json.dumps(answers.tolist()) + "\n")


if __name__ == "__main__":
    main()
