"""What DVC's own configuration says beside remotes, and where it lies: ``.dvc/config``, ``.dvc/config.local``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kairos.errors import SettingsError

__all__ = ["DvcSettings", "files_of", "find_dvc", "read_dvc_settings", "read_sections", "resolved", "section_name"]

SECTION = re.compile(r"""^\[\s*(['"]?)(.+?)\1\s*\]\s*(?:#.*)?$""")
SCHEME = re.compile(r"^(\w[\w+.-]*)://")
TRUE = frozenset({"true", "1", "yes", "on"})
_QUOTED = re.compile(r"""^(["'])(.*?)\1\s*(?:#.*)?$""")


@dataclass(frozen=True, slots=True, kw_only=True)
class DvcSettings:
    """What counts for a project."""

    cache: Path
    """Where blobs are: ``.dvc/cache``, unless ``cache.dir`` says otherwise."""
    autostages: bool = False
    """Whether Git is told of pointers that are written."""


def find_dvc(root: Path) -> Path:
    """The ``.dvc`` folder that counts for a folder: its own, or that of the nearest one above, in the same repository.

    If there is none, the folder's own, which is still to be made.
    """
    root = Path(os.path.abspath(root))
    for folder in (root, *root.parents):
        if (folder / ".dvc").is_dir() and ((folder / ".dvc" / "config").is_file() or folder == root):
            return folder / ".dvc"
        if (folder / ".git").exists():
            break
    return root / ".dvc"


def read_dvc_settings(dvc: Path) -> DvcSettings:
    """Reads what is configured.

    Args:
        dvc: The ``.dvc`` folder; what it lacks is as if it were empty.

    Raises:
        SettingsError: a file cannot be read as DVC's.
    """
    cache, autostages = str(dvc / "cache"), False
    for path in files_of(dvc):
        sections = read_sections(path)
        if "dir" in (found := sections.get("cache", {})):
            cache = resolved(found["dir"], path.parent)
        autostages = sections.get("core", {}).get("autostage", str(autostages)).lower() in TRUE
    return DvcSettings(cache=Path(cache), autostages=autostages)


def files_of(dvc: Path) -> tuple[Path, ...]:
    """Where the configuration is; what a later one says counts."""
    return (_own_config(), dvc / "config", dvc / "config.local")


def _own_config() -> Path:
    """The person's own settings, for all of her projects."""
    given = os.environ.get("DVC_GLOBAL_CONFIG_DIR")
    above = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(given) / "config" if given else Path(above) / "dvc" / "config"


def read_sections(path: Path) -> dict[str, dict[str, str]]:
    """Options of each section, in lower case as DVC takes them."""
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.parent.name}/{path.name} cannot be read.", given=type(error).__name__) from error
    sections: dict[str, dict[str, str]] = {}
    options: dict[str, str] | None = None
    for number, line in _lines(text):
        if section := SECTION.match(line):
            options = sections.setdefault(section_name(section[2]), {})
        elif options is not None and "=" in line and (key := line.split("=", 1)[0].strip().strip("\"'")):
            options[key.lower()] = _value(line.split("=", 1)[1].strip())
        else:  # the line is not shown: it may hold what nobody is to see
            raise SettingsError(
                f"{path.parent.name}/{path.name} cannot be read.",
                given=f"line {number}",
                accepted="sections such as ['remote \"name\"'] with lines such as url = s3://bucket/folder",
            )
    return sections


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            yield number, line


def section_name(text: str) -> str:
    """``core``, or ``remote "name"``."""
    return text.strip().lower()


def _value(text: str) -> str:
    quoted = _QUOTED.match(text)
    return quoted[2] if quoted else text.split("#", 1)[0].strip()


def resolved(url: str, folder: Path) -> str:
    """An address as it is, or the absolute path of a folder."""
    if SCHEME.match(url):
        return url
    return os.path.abspath(os.path.join(folder, os.path.expanduser(url)))
