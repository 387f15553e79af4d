"""Remotes as DVC's own configuration names them: the person's own, over it ``.dvc/config`` and ``.dvc/config.local``.

Nothing of what proves who somebody is leaves this module: such options are left out, and only their names are kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from kairos.errors import NotFound, SettingsError, did_you_mean
from kairos.store.dvc_config import SCHEME, SECTION, TRUE, files_of, read_sections, resolved, section_name
from kairos.store.files import write_atomically

__all__ = ["Remote", "Remotes", "add_remote", "read_remotes"]

SECRETS = frozenset(
    {
        "access_key_id", "secret_access_key", "session_token", "sse_customer_key", "password", "passphrase",
        "custom_auth_header", "token", "bearer_token_command", "connection_string", "sas_token", "account_key",
        "client_secret", "oss_key_id", "oss_key_secret", "gdrive_client_secret",
    }
)  # fmt: skip
"""Options that prove who somebody is. Kairos takes these from the environment only."""

SCHEMES = (
    "s3", "gs", "azure", "ssh", "http", "https", "webdav", "webdavs", "gdrive", "hdfs", "webhdfs", "oss", "remote",
)  # fmt: skip
"""Kinds of addresses that DVC takes: with another in its configuration it does nothing at all."""
_SAME = {"sftp": "ssh", "scp": "ssh", "gcs": "gs", "abfs": "azure", "abfss": "azure", "az": "azure", "s3a": "s3"}
"""What others call them."""

_REMOTE = re.compile(r"""^remote\s*["'](.*)["']$""", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A place where blobs are kept for others, as it is configured."""

    name: str
    url: str
    """``s3://bucket/folder``, or the path of a local folder, absolute; never with a password."""
    options: Mapping[str, str] = field(default_factory=dict)
    """DVC's options beside the address, by name, as text; without those that prove who somebody is."""
    withheld: tuple[str, ...] = ()
    """Names of options that were left out for that reason."""

    @property
    def scheme(self) -> str:
        """``s3``, ``ssh``, …; of a local folder ``local``."""
        found = SCHEME.match(self.url)
        return found[1].lower() if found else "local"

    def is_set(self, option: str, *, default: bool = False) -> bool:
        """Whether an option that is true or false is true."""
        value = self.options.get(option)
        return default if value is None else value.lower() in TRUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Remotes:
    """All remotes of a project."""

    by_name: Mapping[str, Remote]
    default: str | None
    """What ``core.remote`` names."""

    def get(self, name: str | None) -> Remote:
        """The remote of that name; ``None``: the default one, or the only one.

        Raises:
            NotFound: there is none of that name, or none is the default.
        """
        if name is None:
            name = self.default or (next(iter(self.by_name)) if len(self.by_name) == 1 else None)
        known = ", ".join(sorted(self.by_name)) or None
        if name is None:
            raise NotFound(
                "No remote is the default." if self.by_name else "The project has no remote.",
                accepted=known,
                hint="Name one: --remote NAME" if self.by_name else "Type: kairos data remote add NAME URL",
            )
        found = self.by_name.get(name.lower())  # DVC does not tell cases apart
        if found is None:
            hint = did_you_mean(name, self.by_name) or "Type: kairos data remote add NAME URL"
            raise NotFound("There is no such remote.", given=name, accepted=known, hint=hint)
        return found


def read_remotes(dvc: Path) -> Remotes:
    """Reads what is configured.

    Args:
        dvc: The project's ``.dvc`` folder; what it lacks is as if it were empty.

    Raises:
        SettingsError: a file cannot be read as DVC's, or a remote has no address.
    """
    default: str | None = None
    sections: dict[str, dict[str, str]] = {}
    for path in files_of(dvc):
        for section, options in read_sections(path).items():
            if section == "core":
                default = options.get("remote", default)
            elif remote := _REMOTE.match(section):
                if "url" in options:
                    options["url"] = resolved(options["url"], path.parent)
                sections.setdefault(remote[1].lower(), {}).update(options)
    found = {name: _remote(name, sections, ()) for name in sections}
    return Remotes(by_name=found, default=None if default is None else default.lower())


def add_remote(dvc: Path, name: str, url: str, *, is_default: bool, folder: Path) -> None:
    """Adds a remote to ``.dvc/config``, as ``dvc remote add`` does; what is there stays.

    Args:
        dvc: The project's ``.dvc`` folder.
        name: How it is called.
        url: Its address; a path is taken from ``folder`` and kept relative to ``.dvc``.
        is_default: Whether ``core.remote`` is to name it.
        folder: From where a path is meant.

    Raises:
        SettingsError: the name is taken or is none, or the address holds a password, or is none that DVC takes.
    """
    name = name.lower()
    if not re.fullmatch(r"[\w.-]+", name):
        raise SettingsError("A remote cannot be called so.", given=name, accepted="letters, digits, _, - and .")
    if _without_password(url) != url:
        raise SettingsError(
            "The address of a remote must not hold a password.", accepted="one without; " + _ENVIRONMENT
        )
    if "\n" in url or not url.strip():
        raise SettingsError("The address of a remote cannot be read.", given=url, accepted="a URL or a path")
    _check_scheme(dvc, url)
    path = dvc / "config"
    if any(name == match[1].lower() for each in read_sections(path) if (match := _REMOTE.match(each))):
        raise SettingsError("There is a remote of that name.", given=name, hint=f"Change it: dvc remote modify {name}")
    if not SCHEME.match(url):
        absolute = os.path.isabs(url) or url.startswith("~")
        url = url if absolute else Path(os.path.relpath(folder / url, dvc)).as_posix()
    lines = path.read_text().splitlines() if path.exists() else []
    if is_default:
        lines = _with_default(lines, name)
    lines += [f"""['remote "{name}"']""", f"    url = {_quoted(url)}"]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def _check_scheme(dvc: Path, url: str) -> None:
    """Refuses an address with which neither DVC nor Kairos could read the configuration any more."""
    found = SCHEME.match(url)
    if found is None:
        return
    scheme, place = found[1].lower(), url[found.end() :].partition("/")[0]
    if scheme not in SCHEMES:
        same = _SAME.get(scheme) or next(iter(get_close_matches(scheme, SCHEMES, n=1, cutoff=0.5)), None)
        raise SettingsError(
            "A remote is at no such kind of address.",
            given=f"{scheme}://…",
            accepted="a folder, or " + ", ".join(f"{each}://" for each in SCHEMES),
            hint="Write the path alone." if scheme == "file" else same and f"Did you mean '{same}://'?",
        )
    if not place:
        raise SettingsError(
            "The address of a remote names no bucket or host.", given=url, accepted=f"{scheme}://NAME/…"
        )
    if scheme == "remote":
        known = {
            match[1].lower() for file in files_of(dvc) for each in read_sections(file) if (match := _REMOTE.match(each))
        }
        if place.lower() not in known:
            raise SettingsError("The remote leads nowhere.", given=url, accepted=_names(known) or None)


_ENVIRONMENT = "credentials are taken from the environment only, such as AWS_ACCESS_KEY_ID"


def _quoted(value: str) -> str:
    if not re.search(r"""[#,"']|^\s|\s$""", value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def _remote(name: str, sections: Mapping[str, Mapping[str, str]], above: tuple[str, ...]) -> Remote:
    options = dict(sections[name])
    url = options.pop("url", None)
    if url is None:
        raise SettingsError(f"The remote {name!r} has no address.", hint=f"Type: dvc remote modify {name} url URL")
    withheld = sorted(SECRETS & options.keys())
    if (plain := _without_password(url)) != url:
        url, withheld = plain, [*withheld, "the password in the url"]
    kept = {key: value for key, value in options.items() if key not in SECRETS}
    if url.startswith("remote://"):
        base, _, rest = url.removeprefix("remote://").partition("/")
        base = base.lower()
        if base not in sections or base in (name, *above):
            raise SettingsError(
                f"The remote {name!r} leads nowhere.", given=url, accepted=_names(each for each in sections)
            )
        below = _remote(base, sections, (*above, name))
        url = f"{below.url.rstrip('/')}/{rest}".rstrip("/")
        kept, withheld = {**below.options, **kept}, sorted({*below.withheld, *withheld})
    return Remote(name=name, url=url, options=kept, withheld=tuple(withheld))


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _without_password(url: str) -> str:
    """The address with the user that it names, and without a password."""
    found = SCHEME.match(url)
    if found is None:
        return url
    scheme, rest = found[0], url[found.end() :]
    head, at, host = rest.rpartition("@")  # a password may hold / and @
    if not at or ":" not in head:
        return url
    return f"{scheme}{head.split(':', 1)[0]}@{host}"


def host_of(remote: Remote) -> tuple[str, int | None, str | None, str]:
    """Host, port, user and path of an address such as ``ssh://me@host:22/folder``."""
    parts = urlsplit(remote.url)
    return parts.hostname or "", parts.port, parts.username, parts.path


def _with_default(lines: list[str], name: str) -> list[str]:
    """The lines of a config whose ``core.remote`` is this one."""
    kept: list[str] = []
    section = None
    for line in lines:
        if found := SECTION.match(line.strip()):
            section = section_name(found[2])
        if section == "core" and line.split("=", 1)[0].strip().lower() == "remote":
            continue
        kept.append(line)
        if found and section == "core":
            kept.append(f"    remote = {name}")
    if section is None or not any(line.strip().lower() == "[core]" for line in kept):
        kept = ["[core]", f"    remote = {name}", *kept]
    return kept
