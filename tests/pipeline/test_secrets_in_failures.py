"""No credential is in what is told of a step that failed, whichever client raised, whatever it put in its message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kairos.pipeline.origins.secrets import note_environment, redacted
from tests.pipeline.projects import Place

PASSWORD, TOKEN = "hunt3r/of@ann%2Fx", "t0ken-0f-the-interface"
SECRETS = ("hunt3r", "of@ann", "ann%2F", "ann/x", TOKEN)
NOBODY = "127.0.0.1:9"
"""Where nobody listens."""

FAILURES = {
    "httpx, an address": "import httpx\nhttpx.get(f'http://ann:{quoted}@NOBODY/x?token={TOKEN}').raise_for_status()",
    "httpx, told by her": (
        "import httpx\n"
        "request = httpx.Request('GET', f'http://ann:{quoted}@NOBODY/', headers={'X-Api-Key': TOKEN})\n"
        "raise RuntimeError(f'{request.url} {dict(request.headers)}')"
    ),
    "httpx, a header": "import httpx\nhttpx.get('http://NOBODY', headers={'Authorization': f'Bearer {TOKEN}\\n'})",
    "httpx, no address": "import httpx\nhttpx.get(f'htp://ann:{quoted}@NOBODY')",
    "requests": "import requests\nrequests.get(f'http://NOBODY/x?api_key={TOKEN}', headers={'Authorization': TOKEN})",
    "requests, a password cut": "import requests\nrequests.get(f'http://ann:{PASSWORD}@NOBODY/x')",
    "urllib3": "import urllib3\nurllib3.PoolManager(retries=0).request('GET', f'http://NOBODY/x?sig={TOKEN}')",
    "urllib": "from urllib.request import urlopen\nurlopen(f'http://ann:{PASSWORD}@NOBODY/x')",
    "aiohttp through fsspec": "import fsspec\nfsspec.open(f'http://ann:{quoted}@NOBODY/x?token={TOKEN}').open().read()",
    "fsspec, no protocol": "import fsspec\nfsspec.open(f'nope://ann:{PASSWORD}@host/x').open()",
    "fsspec, an option": "import fsspec\nfsspec.filesystem('memory', password=PASSWORD).open(PASSWORD)",
    "fsspec, ftp": "import fsspec\nfsspec.open(f'ftp://ann:{quoted}@NOBODY/x').open()",
    "sqlalchemy, no address": "import sqlalchemy\nsqlalchemy.create_engine(f'postgresql//ann:{PASSWORD}@host/db')",
    "sqlalchemy, no dialect": "import sqlalchemy\nsqlalchemy.create_engine(f'nope+{TOKEN}://ann:{quoted}@host/db')",
    "sqlalchemy, a query": (
        "import sqlalchemy\nengine = sqlalchemy.create_engine('sqlite://')\n"
        "engine.connect().execute(sqlalchemy.text('SELECT :a FROM nothing'), {'a': PASSWORD})"
    ),
    "sqlalchemy, told by her": (
        "import sqlalchemy\nurl = sqlalchemy.make_url(f'postgresql://ann:{quoted}@host/db')\n"
        "raise RuntimeError(url.render_as_string(hide_password=False))"
    ),
    "duckdb, a secret": "import duckdb\nduckdb.sql(f\"CREATE SECRET (TYPE nope, SECRET '{TOKEN}')\")",
    "duckdb, a mistake beside it": "import duckdb\nduckdb.sql(f\"SELCT '{PASSWORD}'\")",
    "duckdb, an address": "import duckdb\nduckdb.connect(f'/nowhere/{TOKEN}/x.db')",
    "polars": "import polars\npolars.read_csv(f'/nowhere/x.csv?token={TOKEN}')",
    "an environment": "raise RuntimeError(dict(os.environ))",
    "a cause": "try:\n    raise ValueError(PASSWORD)\nexcept ValueError as was:\n    raise RuntimeError('no') from was",
    "a group": "raise ExceptionGroup(TOKEN, [ValueError(PASSWORD)])",
    "a note": "error = ValueError('no')\nerror.add_note(TOKEN)\nraise error",
    "an end": "sys.exit(f'no: {PASSWORD}')",
}
"""Code of a step, after which a client, or she herself, has a credential in a message or in a line of a traceback."""

STEP = """
import os, sys
from urllib.parse import quote
from kairos import step

@step
def leak() -> int:
    os.environ.update(BIKES_URL=BIKES_URL_, BIKES_TOKEN=TOKEN_)
    TOKEN, PASSWORD = os.environ["BIKES_TOKEN"], PASSWORD_
    quoted = quote(PASSWORD, safe="")
    CODE
    return 1
"""


def step_of(failure: str) -> str:
    """A pipeline whose step does it; credentials are in its environment, as an address and under a name.

    They are in two parts in its code, whose lines a traceback shows.
    """
    code = FAILURES[failure].replace("NOBODY", NOBODY).replace("\n", "\n    ")
    split = f"{PASSWORD[:5]!r} + {PASSWORD[5:]!r}"
    return (
        STEP.replace("CODE", code)
        .replace("BIKES_URL_", f"'mysql://ann:' + {split} + '@host/db'")
        .replace("PASSWORD_", split)
        .replace("TOKEN_", f"{TOKEN[:5]!r} + {TOKEN[5:]!r}")
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_no_credential_is_in_what_is_told_of_a_failure(place: Place, failure: str) -> None:
    """In its message, its traceback, its events, or anything that the run left on the disk."""
    place.write(step_of(failure))
    result = place.run()
    assert result.failure is not None
    told = f"{result.failure.message}\n{result.failure.traceback}\n{result.plain()}\n{place.events}"
    assert "AttributeError" not in told
    assert "NameError" not in told
    assert not [secret for secret in SECRETS if secret in told], told


@pytest.mark.parametrize("where", ["a step", "the pipeline's file", "Kairos itself"])
def test_no_credential_is_in_what_a_command_leaves(tmp_path: Path, where: str) -> None:
    """Neither on the terminal nor in any file of the project, of the ledger, or where a defect's traceback is kept."""
    failing = "raise RuntimeError(os.environ['BIKES_TOKEN'] + ' ' + os.environ['BIKES_URL'])"
    step = f"@step\ndef a() -> int:\n    {failing if where == 'a step' else 'return 1'}\n"
    top = failing if where == "the pipeline's file" else ""
    (tmp_path / "pipeline.py").write_text(f"import os\nfrom kairos import step\n{top}\n{step}")
    (tmp_path / "kairos.toml").write_text('[project]\nname = "leaks"\npipeline = "pipeline.py"\n')
    command = "import sys; from kairos.cli import main; sys.exit(main(['run', '--window', '2011-01-03..2011-01-05']))"
    if where == "Kairos itself":
        broken = "import os, kairos.app.training as at; at.train = lambda *a, **b: 1 / int(os.environ['BIKES_TOKEN'])"
        command = f"{broken}; {command}"
    environment = {
        **os.environ,
        "BIKES_URL": f"mysql://ann:{PASSWORD}@host/db",
        "BIKES_TOKEN": TOKEN,
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 1
    assert b"***" in done.stdout + done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    for told in (done.stdout, done.stderr, *(path.read_bytes() for path in left)):
        assert not [secret for secret in SECRETS if secret.encode() in told]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://ann:hunter2@host/db", "mysql://ann:***@host/db"),
        ("https://host/a?x=1&api_key=hunter2&y=2", "https://host/a?x=1&api_key=***&y=2"),
        ("{'authorization': 'Bearer abc123def456'}", "{'authorization': 'Bearer ***'}"),
        ("postgresql://ann:$PASSWORD@host/db", "postgresql://ann:$PASSWORD@host/db"),
        ("Bearer authentication is asked for, see https://host:80/a@b", "Bearer authentication is asked for, see https://host:80/a@b"),
        ("basic information of 3 tokens", "basic information of 3 tokens"),
    ],
)  # fmt: skip
def test_what_stands_where_credentials_do_is_taken_out(text: str, shown: str) -> None:
    """Whoever wrote it; names of variables and words are left."""
    assert redacted(text) == shown


def test_what_only_looks_like_a_secret_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder at hand, the path of a file with credentials, the name of a tokenizer."""
    for name, value in (("PWD", str(tmp_path)), ("CREDENTIALS", str(tmp_path)), ("TOKENIZER", "bert-base")):
        monkeypatch.setenv(name, value)
    note_environment()
    assert redacted(f"{tmp_path} bert-base") == f"{tmp_path} bert-base"
