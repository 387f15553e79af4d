"""No credential is in what is told of a step whose client of a database or of S3 failed, whatever the client says."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from kairos.pipeline.engine.local import LocalEngine
from tests.pipeline.projects import Place
from tests.pipeline.test_secrets_in_failures import FAILURES, SECRETS, step_of

CLIENTS = {
    "psycopg, an address": "import psycopg\npsycopg.connect(f'postgresql://ann:{quoted}@NOBODY/db')",
    "psycopg, a password cut": "import psycopg\npsycopg.connect(f'postgresql://ann:{PASSWORD}@NOBODY/db')",
    "psycopg, no option": "import psycopg\npsycopg.connect(f'host=127.0.0.1 port=9 {TOKEN}')",
    "psycopg, half a code": "import psycopg\npsycopg.connect(f'postgresql://ann:{TOKEN}%zz@NOBODY/db')",
    "pymysql": "import pymysql\npymysql.connect(host='127.0.0.1', port=9, user=TOKEN, password=PASSWORD)",
    "pymysql, told by her": (
        "import pymysql\n"
        "try:\n    pymysql.connect(host='127.0.0.1', port=9, password=PASSWORD)\n"
        "except pymysql.Error as error:\n    raise RuntimeError(f'{error} {PASSWORD}') from error"
    ),
    "sqlalchemy, psycopg": (
        "import sqlalchemy\nsqlalchemy.create_engine(f'postgresql+psycopg://ann:{quoted}@NOBODY/db').connect()"
    ),
    "sqlalchemy, pymysql": (
        "import sqlalchemy\nsqlalchemy.create_engine(f'mysql+pymysql://ann:{quoted}@NOBODY/db').connect()"
    ),
    "sqlalchemy, an option": (
        "import sqlalchemy\nurl = f'mysql+pymysql://ann@NOBODY/db?nothing={TOKEN}'\n"
        "sqlalchemy.create_engine(url, connect_args={'passwd': PASSWORD, TOKEN: 1}).connect()"
    ),
    "botocore, an address": (
        "import botocore.session\n"
        "made = botocore.session.get_session().create_client('s3', region_name='eu-west-1', aws_access_key_id=TOKEN,\n"
        "    aws_secret_access_key=PASSWORD, endpoint_url=f'http://ann:{quoted}@NOBODY',\n"
        "    config=botocore.config.Config(retries={'max_attempts': 0}, connect_timeout=1))\n"
        "made.get_object(Bucket='b', Key='k')"
    ),
    "botocore, a signed address": (
        "import botocore.session\n"
        "made = botocore.session.get_session().create_client('s3', region_name='eu-west-1', aws_access_key_id=TOKEN,\n"
        "    aws_secret_access_key=PASSWORD, aws_session_token=TOKEN)\n"
        "raise RuntimeError(made.generate_presigned_url('get_object', Params={'Bucket': 'b', 'Key': 'k'}))"
    ),
    "botocore, a bad name": (
        "import botocore.session\n"
        "botocore.session.get_session().create_client('s3', region_name=PASSWORD, aws_access_key_id=TOKEN)"
    ),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """A worker."""
    with LocalEngine(workers=1) as engine:
        yield engine


@pytest.fixture
def place(tmp_path: Path, engine: LocalEngine) -> Iterator[Place]:
    """An empty project."""
    place = Place(tmp_path, engine)
    yield place
    place.cache.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_no_credential_is_in_what_a_client_says(place: Place, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the message, the traceback, or the run's record."""
    for name in ("psycopg", "pymysql", "botocore"):
        if name in CLIENTS[client] and find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    monkeypatch.setitem(FAILURES, client, CLIENTS[client])
    place.write(step_of(client))
    result = place.run()
    assert result.failure is not None
    told = f"{result.failure.message}\n{result.failure.traceback}\n{result.plain()}\n{place.events}"
    assert "NameError" not in told
    assert "X-Amz-Signature=" not in told or "X-Amz-Signature=***" in told
    assert not [secret for secret in SECRETS if secret in told], told
