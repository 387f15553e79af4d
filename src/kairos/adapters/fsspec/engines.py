"""Which engine reaches which kind of address, and what DVC's options are called there."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kairos.adapters.fsspec.place import FsspecPlace
from kairos.errors import AdapterMissing, SettingsError
from kairos.pipeline.origins.watching import GRACE_S
from kairos.store.places import Place
from kairos.store.remotes import Remote, host_of

__all__ = ["open_place"]

_CONNECT_S, _READ_S = 20, 60
"""How long a connection, and an answer on it, are waited for where the options do not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    module: str
    made_by: str
    extra: str
    options: Callable[[Remote], dict[str, Any]]
    root: Callable[[Remote], str]
    environment: str
    """Where its credentials come from, for messages."""
    renames: bool = False
    """Whether a name is given to a whole file by renaming it; object stores show no part of one anyway."""
    lists: bool = True


def open_place(remote: Remote, *, prefix: str = "files/md5") -> Place:
    """The place that a remote's address names; nothing is asked of it yet.

    Args:
        remote: As it is configured.
        prefix: The folder of the blobs there.

    Raises:
        SettingsError: Kairos reaches no such address, or does not keep DVC's kind of remote that it is.
        AdapterMissing: the engine for it is not installed.
    """
    engine = _ENGINES.get(remote.scheme)
    if engine is None:
        raise SettingsError(
            f"The remote {remote.name!r} is at an address that Kairos does not reach.",
            given=f"{remote.scheme}://…",
            accepted="a folder, or " + ", ".join(f"{scheme}://" for scheme in _ENGINES),
            hint="Where `dvc` reaches it: dvc push, dvc pull.",
        )
    try:
        module = import_module(engine.module)
    except ImportError as error:
        raise AdapterMissing(
            f"The remote {remote.name!r} needs an engine that is not installed.",
            given=engine.module,
            hint=f'Type: pip install "kairos-ml[{engine.extra}]"',
        ) from error
    made_by, options = getattr(module, engine.made_by), engine.options(remote)

    def connect() -> Any:
        return made_by(skip_instance_cache=True, **options)

    return FsspecPlace(
        connect,
        engine.root(remote),
        prefix=prefix,
        renames=engine.renames,
        lists=engine.lists,
        send_options={"method": remote.options.get("method", "post").lower()} if remote.scheme in _HTTP else {},
        environment=_environment(remote, engine),
        silent_s=_seconds(remote, "timeout" if "timeout" in remote.options else "read_timeout", _READ_S) + GRACE_S,
    )


def password_variable(remote: Remote) -> str:
    """The variable of the environment that holds a remote's password.

    >>> password_variable(Remote(name="my-store", url="ssh://host/folder"))
    'KAIROS_REMOTE_MY_STORE_PASSWORD'
    """
    name = "".join(letter if letter.isalnum() else "_" for letter in remote.name.upper())
    return f"KAIROS_REMOTE_{name}_PASSWORD"


def _environment(remote: Remote, engine: _Engine) -> str:
    said = f"Credentials come from the environment only: {engine.environment.format(password_variable(remote))}"
    if remote.withheld:
        said += f"; the configuration holds {', '.join(remote.withheld)}, which Kairos does not use"
    return said


def _seconds(remote: Remote, option: str, default: float) -> float:
    try:
        return float(remote.options.get(option, default))
    except ValueError as error:
        raise SettingsError(
            f"An option of the remote {remote.name!r} cannot be read.",
            given=f"{option} = {remote.options[option]}",
            accepted="a number of seconds",
        ) from error


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _s3(remote: Remote) -> dict[str, Any]:
    given = remote.options
    for option, variable in (("credentialpath", "AWS_SHARED_CREDENTIALS_FILE"), ("configpath", "AWS_CONFIG_FILE")):
        if option in given:  # as DVC does: botocore knows no other way
            os.environ.setdefault(variable, os.path.expanduser(given[option]))
    grants = {"acl": "ACL", "sse": "ServerSideEncryption", "sse_kms_key_id": "SSEKMSKeyId"}
    return _given(
        {
            "anon": remote.is_set("allow_anonymous_login"),
            "profile": given.get("profile"),
            "endpoint_url": given.get("endpointurl"),
            "use_ssl": remote.is_set("use_ssl", default=True),
            "client_kwargs": _given({"region_name": given.get("region"), "verify": _verified(remote)}),
            "use_listings_cache": False,
            "config_kwargs": {
                "connect_timeout": _seconds(remote, "connect_timeout", _CONNECT_S),
                "read_timeout": _seconds(remote, "read_timeout", _READ_S),
                "retries": {"max_attempts": 1},  # tries are counted in one place, and that is not there
            },
            "s3_additional_kwargs": {name: given[option] for option, name in grants.items() if option in given},
        }
    )


def _gs(remote: Remote) -> dict[str, Any]:
    token = "anon" if remote.is_set("allow_anonymous_login") else remote.options.get("credentialpath")
    return _given(
        {
            "project": remote.options.get("projectname"),
            "token": None if token is None else os.path.expanduser(token),
            "endpoint_url": remote.options.get("endpointurl"),
            "use_listings_cache": False,
            "timeout": _READ_S,
        }
    )


def _azure(remote: Remote) -> dict[str, Any]:
    return _given(
        {
            "account_name": remote.options.get("account_name"),
            "anon": remote.is_set("allow_anonymous_login"),
            "use_listings_cache": False,
            "connection_timeout": _seconds(remote, "connection_timeout", _CONNECT_S),
            "read_timeout": _seconds(remote, "read_timeout", _READ_S),
        }
    )


def _ssh(remote: Remote) -> dict[str, Any]:
    host, port, user, _ = host_of(remote)
    keyfile = remote.options.get("keyfile")
    options = {
        "host": host,
        "port": int(remote.options["port"]) if "port" in remote.options else port,
        "username": user or remote.options.get("user"),
        "client_keys": None if keyfile is None else [os.path.expanduser(keyfile)],
        "password": os.environ.get(password_variable(remote)),
        "connect_timeout": _seconds(remote, "timeout", _CONNECT_S),
        "login_timeout": _seconds(remote, "timeout", _CONNECT_S),
        "keepalive_interval": 15,  # a host that went away is noticed, however long a transfer takes
    }
    if not remote.is_set("allow_agent", default=True):
        options["agent_path"] = ""
    return _given(options)


def _http(remote: Remote) -> dict[str, Any]:
    import aiohttp

    _, _, user, _ = host_of(remote)
    user, password = user or remote.options.get("user"), os.environ.get(password_variable(remote))
    timeout = aiohttp.ClientTimeout(
        total=None,
        sock_connect=_seconds(remote, "connect_timeout", _CONNECT_S),
        sock_read=_seconds(remote, "read_timeout", _READ_S),
    )
    client: dict[str, Any] = {"timeout": timeout, "trust_env": True}
    if user and password is not None:
        client["headers"] = {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    verified = _verified(remote)
    return {"client_kwargs": client, **({} if verified is None else {"ssl": _context(verified)})}


def _context(verified: bool | str) -> Any:
    if isinstance(verified, bool):
        return verified
    import ssl

    return ssl.create_default_context(cafile=verified)


def _webdav(remote: Remote) -> dict[str, Any]:
    _, _, user, _ = host_of(remote)
    user, password = user or remote.options.get("user"), os.environ.get(password_variable(remote))
    return _given(
        {
            "base_url": _web_address(remote),
            "auth": (user, password) if user and password is not None else None,
            "verify": _verified(remote),
            "timeout": _seconds(remote, "timeout", _READ_S),
            "retry": False,
        }
    )


def _verified(remote: Remote) -> bool | str | None:
    """Whether certificates are verified, or by which file; ``None``: as usual."""
    given = remote.options.get("ssl_verify")
    if given is None:
        return None
    return {"true": True, "false": False}.get(given.lower(), os.path.expanduser(given))


def _web_address(remote: Remote) -> str:
    """An address without its user, in HTTP."""
    host, port, _, path = host_of(remote)
    scheme = {"webdav": "http", "webdavs": "https"}.get(remote.scheme, remote.scheme)
    return f"{scheme}://{host}{f':{port}' if port else ''}{path}"


def _bucket(remote: Remote) -> str:
    return remote.url.split("://", 1)[1]


def _folder(remote: Remote) -> str:
    return host_of(remote)[3] or "/"


_HTTP = frozenset({"http", "https"})
_ENGINES: Mapping[str, _Engine] = {
    "s3": _Engine(
        module="s3fs", made_by="S3FileSystem", extra="s3", options=_s3, root=_bucket,
        environment="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    # Not gcsfs's own default, which asks Google over gRPC what kind of bucket it is, wherever the bucket is.
    "gs": _Engine(
        module="gcsfs.core", made_by="GCSFileSystem", extra="gcs", options=_gs, root=_bucket,
        environment="GOOGLE_APPLICATION_CREDENTIALS",
    ),
    "azure": _Engine(
        module="adlfs", made_by="AzureBlobFileSystem", extra="azure", options=_azure, root=_bucket,
        environment="AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with one of its keys",
    ),
    "ssh": _Engine(
        module="sshfs", made_by="SSHFileSystem", extra="ssh", options=_ssh, root=_folder, renames=True,
        environment="the agent of SSH, keys of ~/.ssh, or {}",
    ),
    "http": _Engine(
        module="fsspec.implementations.http", made_by="HTTPFileSystem", extra="http", options=_http,
        root=_web_address, lists=False, environment="{}, with the option user",
    ),
    "webdav": _Engine(
        module="webdav4.fsspec", made_by="WebdavFileSystem", extra="webdav", options=_webdav, root=lambda remote: "",
        renames=True, environment="{}, with the option user",
    ),
}  # fmt: skip
_ENGINES = {
    **_ENGINES, "sftp": _ENGINES["ssh"], "https": _ENGINES["http"], "webdavs": _ENGINES["webdav"],
    "gcs": _ENGINES["gs"], "abfs": _ENGINES["azure"],
}  # fmt: skip
