"""Real database servers, where the system has them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pymysql
import pytest

USER = "kairos"
PASSWORD = "s3cr/et@of-ann"
OPTIONS = ("--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def as_other(user: str) -> list[str]:
    """What puts a command under another user: a database server refuses to run as root."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []


@contextmanager
def folder_of(user: str) -> Iterator[Path]:
    """An empty folder of that user; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="kairos-"))
    try:
        if as_other(user):
            shutil.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of its own, without its password."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with folder_of("postgres") as folder:
        (folder / "password").write_text(PASSWORD)
        own, data, port = as_other("postgres"), str(folder / "data"), free_port()
        make = [*own, str(found[-1] / "initdb"), "-D", data, "-U", USER, *OPTIONS, "--pwfile", str(folder / "password")]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        command = [*own, str(found[-1] / "postgres"), "-D", data, "-p", str(port), "-k", str(folder), "-F"]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, stderr=log) as server:
            try:
                wait_for(lambda: psycopg.connect(postgres_dsn(port)).close())
                yield f"127.0.0.1:{port}/postgres"
            finally:
                server.terminate()


def postgres_dsn(port: int | str) -> str:
    """What psycopg connects to."""
    return f"host=127.0.0.1 port={port} user={USER} password={PASSWORD} dbname=postgres"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """The address of a MariaDB server of its own, without its password."""
    server_program = shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
    if server_program is None:
        pytest.skip("no MariaDB: apt-get install mariadb-server")
    with folder_of("mysql") as folder:
        own, data, socket_file, port = as_other("mysql"), f"--datadir={folder / 'data'}", str(folder / "s"), free_port()
        make = [*own, "mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        command = [*own, server_program, "--no-defaults", data, f"--port={port}", f"--socket={socket_file}"]
        command += ["--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}"]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, stderr=log) as server:
            try:
                wait_for(Path(socket_file).stat)  # a connection that is refused would be left open
                with pymysql.connect(unix_socket=socket_file, user="root") as root, root.cursor() as cursor:
                    cursor.execute("CREATE DATABASE bikes")
                    cursor.execute(f"GRANT ALL ON bikes.* TO {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
                yield f"127.0.0.1:{port}/bikes"
            finally:
                server.terminate()


def wait_for(connect: object) -> None:
    """Until a server answers; a minute at most."""
    for _ in range(600):
        with suppress(psycopg.Error, pymysql.Error, OSError):
            connect()  # type: ignore[operator]
            return
        time.sleep(0.1)
    raise TimeoutError("the server did not answer")
