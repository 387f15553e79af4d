"""``import`` as a person sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from kairos.app.project import Project
from tests.cli.said import Said

Type = Callable[..., Said]
KEPT = Path(__file__).parents[1] / "adapters" / "sacred_runs.json"


def test_who_needs_a_blob_of_an_imported_run_is_said(tmp_path: Path, type_in: Type) -> None:
    """It is a loss, since nothing makes it again."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "p"\n')
    for name, text in json.loads(KEPT.read_text()).items():
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text(text)
    assert type_in(tmp_path, "import", "sacred", str(tmp_path / "runs")).code == 0
    assert type_in(tmp_path, "store", "verify").code == 0
    with Project(tmp_path) as project:
        entry = next(iter(project.ledger.read(kinds=["run.imported"])))
        blob = entry.body["measured"]["steps"]["noise"]["logged"][0]
        project.store.path(blob).unlink()
    said = type_in(tmp_path, "store", "verify")
    assert said.code == 1
    assert f"{blob} is missing, needed by what noise of run {entry.subject} logged" in said.out


def test_runs_of_sacred_are_imported_listed_shown_and_compared(tmp_path: Path, type_in: Type) -> None:
    """What cannot be read is named, and the command ends with 1; an imported run cannot be made again."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "p"\n')
    for name, text in json.loads(KEPT.read_text()).items():
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text(text)
    folder = str(tmp_path / "runs")
    said = type_in(tmp_path, "import", "sacred", folder)
    assert said.code == 0
    assert "imported: noise 1, COMPLETED" in said.out
    (tmp_path / "runs" / "2" / "run.json").write_text("{")
    said = type_in(tmp_path, "import", "sacred", folder)
    assert said.code == 1
    assert "known: noise 1" in said.out
    assert "2 is not imported: run.json is no JSON" in said.err
    listed = json.loads(type_in(tmp_path, "runs", "--json").out)
    assert [run["status"] for run in listed] == ["failed", "finished"]
    shown = type_in(tmp_path, "show", listed[1]["run"])
    assert "result 0.75" in shown.out
    assert "window" not in shown.out
    assert "fit.rate" not in type_in(tmp_path, "diff", listed[0]["run"], listed[1]["run"]).out
    assert "fails" in type_in(tmp_path, "diff", listed[0]["run"], listed[1]["run"]).out
    assert "imported from sacred: noise 1" in type_in(tmp_path, "ledger", "log").out
    assert "was imported" in type_in(tmp_path, "rebuild", listed[1]["run"]).err
