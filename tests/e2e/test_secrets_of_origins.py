"""A token in the environment is nowhere afterwards: not in the project's folder, nor in what was printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.pipeline.interfaces import serving

PIPELINE = """
import polars as pl
from kairos import Http, Rows, source

@source(every="1d", reads=Http(
    "{url}/rows", params={{"from": "{{start}}", "to": "{{end}}", "api_key": "$KAIROS_TEST_KEY"}},
    headers={{"Authorization": "Bearer $KAIROS_TEST_TOKEN"}}, rows="data.items", tries=1, watermark="version",
))
def rentals(rows: Rows) -> pl.DataFrame:
    {body}
"""


def test_credentials_are_nowhere_after_a_good_and_a_failing_run(tmp_path: Path) -> None:
    """The failures are the worst there are: the user's own code raises an error whose text holds the token."""
    secrets = ("t0ken-of-ann", "key%2Fof-ann", "key/of-ann")
    environment = {**os.environ, "KAIROS_TEST_TOKEN": "t0ken-of-ann", "KAIROS_TEST_KEY": "key/of-ann"}
    (tmp_path / "kairos.toml").write_text('[project]\nname = "bikes"\n')
    with serving() as interface:
        interface.token = "t0ken-of-ann"
        interface.rows = [{"at": "2011-01-03T05:00:00Z", "users": 1}]

        def run(body: str) -> subprocess.CompletedProcess[str]:
            (tmp_path / "pipeline.py").write_text(PIPELINE.format(url=interface.url, body=body))
            command = [sys.executable, "-m", "kairos.cli", "run", "--why", "--window", "2011-01-03..2011-01-04"]
            return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

        good = run("return rows.table() if rows else None")
        assert good.returncode == 0, good.stderr
        leaks = run("import os; raise ValueError('no ' + os.environ['KAIROS_TEST_TOKEN'] + str(rows.table()))")
        assert leaks.returncode == 1
        assert "ValueError: no ***" in leaks.stderr
        interface.token = "another"
        refused = run("return rows.table()")
        assert refused.returncode == 1
        assert "HTTP 401" in refused.stderr
    for output in (good, leaks, refused):
        assert not any(secret in output.stdout + output.stderr for secret in secrets)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        data = file.read_bytes()
        assert not any(secret.encode() in data for secret in secrets), file
