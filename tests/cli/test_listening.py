"""Where `serve` and `up` listen: the command's word goes before that of the settings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from kairos.app.project import Project
from kairos.app.settings import read_settings
from kairos.cli.listening import Doors, doors_of
from kairos.clock import ReplayClock, SystemClock
from kairos.errors import SettingsError, UsageError
from kairos.serving.connections.limits import USUAL, Limits

ROOT = Path("/a/project")


def doors(server: Mapping[str, Any], clock: object = None, **words: Any) -> Doors:
    """What settings and the command lead to."""
    told = {"host": None, "port": None, "grpc_port": None, "tls_cert": None, "tls_key": None, "home": None, **words}
    settings = read_settings({"project": {"name": "toy"}, "server": server})
    return doors_of(
        Namespace(**told), cast("Project", Namespace(settings=settings, root=ROOT, clock=clock or SystemClock()))
    )


def test_files_of_the_settings_lie_in_the_project() -> None:
    """Those of the command are where it is typed."""
    found = doors({"tls_cert": "server.pem", "tls_key": "server.key"})
    assert (found.cert, found.key) == (ROOT / "server.pem", ROOT / "server.key")
    found = doors({"tls_cert": "server.pem"}, tls_cert=Path("other.pem"))
    assert (found.cert, found.key) == (Path("other.pem"), None)


def test_a_key_alone_is_refused() -> None:
    """TLS without a certificate is none, and must not look like it."""
    with pytest.raises(UsageError, match="a key for TLS, and no certificate"):
        doors({"tls_key": "server.key"})


def test_what_kairos_asks_itself_goes_without_tls_and_grpc() -> None:
    """A replay and a rehearsal listen on this machine, for one client."""
    tls = {"tls_cert": "server.pem", "grpc_port": 8001}
    replay = doors(tls, clock=ReplayClock(datetime(2011, 1, 1, tzinfo=UTC)))
    assert (replay.cert, replay.grpc_port) == (None, None)
    assert doors(tls, home=Path("scratch")).cert is None


def test_a_certificate_that_is_not_there_is_an_error_before_anything_starts() -> None:
    """It is named."""
    with pytest.raises(UsageError, match=r"tls_cert cannot be read.*missing\.pem"):
        doors({}, tls_cert=Path("missing.pem")).certificate()
    assert doors({}).certificate() is None


def test_limits_are_settings() -> None:
    """Those that are left out are the usual ones; one that would let nobody in is refused."""
    project = {"name": "toy"}
    found = read_settings({"project": project, "server": {"limits": {"head": "5s", "connections": 50}}}).limits
    assert found == Limits(head_s=5.0, connections=50)
    assert read_settings({"project": project}).limits == USUAL
    with pytest.raises(SettingsError, match="'connections' cannot be used"):
        read_settings({"project": project, "server": {"limits": {"connections": 0}}})
