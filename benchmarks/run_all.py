"""All benchmarks, one after the other; options such as ``--quick`` and ``--json`` are handed on. ``make bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "startup",
    "store.add",
    "data.diff",
    "data.versions",
    "pipeline.nothing_changed",
    "pipeline.many_steps",
    "experiments.recording",
    "experiments.runs",
    "models.packaging",
    "serving.one_row",
    "serving.five_models",
    "serving.forms",
    "serving.observing",
    "serving.footprint",
    "serving.shared_weights",
    "serving.capture_modes",
    "serving.endurance",
    "decisions.guarantees",
    "decisions.gates",
    "decisions.rollout",
    "decisions.worth",
    "decisions.dependence",
    "decisions.error_rates",
    "decisions.power",
    "decisions.drift_pages",
    "decisions.cost",
    "decisions.before_labels",
    "decisions.causes",
    "decisions.regret",
)


def main() -> int:
    """Goes on after one that fails; 1 if any did."""
    failed = []
    for name in BENCHMARKS:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], cwd=Path(__file__).resolve().parent.parent
        )
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
