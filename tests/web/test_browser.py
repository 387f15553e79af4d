"""The pages in a real browser: they are drawn, the console stays silent, and nothing is asked of the network.

Runs where Chromium is installed, or where ``KAIROS_TEST_BROWSER`` names one; it is no dependency of ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kairos.app.story import Story
from kairos.web.gate import render_gate
from kairos.web.report import render_report
from kairos.web.status import render_status
from tests.web.cases import hostile_case
from tests.web.outlooks import with_outlook
from tests.web.stories import bikes, hostile
from tests.web.test_status import PAGE

_FOUND = os.environ.get("KAIROS_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
BROWSER = _FOUND or "no browser"

pytestmark = pytest.mark.skipif(_FOUND is None, reason="no Chromium here, and KAIROS_TEST_BROWSER names none")


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Opens a page, with no network but for what the page could ask for, and its log on stderr."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={page.parent / 'profile'}", *options]
    return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=True, timeout=120)


@pytest.mark.parametrize("make", [bikes, hostile])
def test_a_report_is_drawn_in_silence(tmp_path: Path, make: Callable[[], Story]) -> None:
    """A picture comes out, no message goes to the console, no alert opens, and no foreign address is tried."""
    page, shot, log = tmp_path / "report.html", tmp_path / "shot.png", tmp_path / "net.json"
    page.write_text(render_report(make()), encoding="utf-8")
    ran = browse(page, "--window-size=1200,2400", f"--screenshot={shot}", f"--log-net-log={log}")
    assert "CONSOLE" not in ran.stderr
    assert shot.stat().st_size > 100_000  # a blank page of this size has about 10 kB
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = {event["params"]["url"] for event in events if "url" in event.get("params", {})}
    assert not [url for url in asked if "evil.example" in url]


def test_the_browser_reads_the_page_as_it_was_meant(tmp_path: Path) -> None:
    """It finds all pictures and all rows where they were put, and no script."""
    page = tmp_path / "report.html"
    page.write_text(render_report(hostile()), encoding="utf-8")
    seen = browse(page, "--dump-dom").stdout
    assert seen.count("<svg") == 6
    assert seen.count('<tr class="kind-1"') == len(hostile().decisions)
    assert "<script" not in seen


def test_a_verdict_is_drawn_in_silence(tmp_path: Path) -> None:
    """Its page has no script, and the browser finds the bar and the intervals."""
    page = tmp_path / "gate.html"
    page.write_text(render_gate(hostile_case()), encoding="utf-8")
    ran = browse(page, "--dump-dom")
    assert "CONSOLE" not in ran.stderr
    assert ran.stdout.count("<svg") == 2
    assert "<script" not in ran.stdout


def test_a_status_page_is_drawn_in_silence(tmp_path: Path) -> None:
    """With the pictures of what is live and on trial, and no script."""
    page = tmp_path / "status.html"
    page.write_text(render_status(with_outlook(PAGE)), encoding="utf-8")
    ran = browse(page, "--dump-dom")
    assert "CONSOLE" not in ran.stderr
    assert ran.stdout.count("<svg") == 3
    assert "still missing" in ran.stdout
