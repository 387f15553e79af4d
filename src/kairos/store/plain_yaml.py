"""The YAML of almost every pointer, told without a library: one output, whose values need no quotes.

Loading PyYAML takes longer than looking at ten thousand files. What is written in any other way is left to ``yaml12``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kairos.values import Json

__all__ = ["as_plain", "read_plain"]

_KEYS = ("md5", "size", "nfiles", "hash", "path")
"""In the order of DVC."""
_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*[A-Za-z0-9_/]|[A-Za-z_]")
_LONGEST = 60
"""Longer texts may be folded."""
_MEANT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Texts that stand for something else in YAML, of whichever release."""
_DIGEST = re.compile(r"(?=[0-9]*[a-df])[0-9a-f]{32}(\.dir)?")
"""Without a letter but ``e`` it may be a number."""
_COUNT = re.compile(r"0|[1-9][0-9]{0,17}")
_FORM = re.compile(rb"outs:\n- ((?:[a-z0-9]+: [^\n]+\n  )*[a-z0-9]+: [^\n]+)\n")


def read_plain(data: bytes) -> dict[str, Json] | None:
    """What ``load_yaml`` gives, if that can be told without it; ``None``: it may be anything.

    >>> read_plain(b"outs:\\n- md5: d3b07384d113edec49eaa6238ad5ff00\\n  size: 4\\n  hash: md5\\n  path: a.csv\\n")
    {'outs': [{'md5': 'd3b07384d113edec49eaa6238ad5ff00', 'size': 4, 'hash': 'md5', 'path': 'a.csv'}]}
    """
    whole = _FORM.fullmatch(data)
    if whole is None or not data.isascii():
        return None
    out = dict[str, Json]()
    for line in whole[1].decode().split("\n  "):
        key, _, text = line.partition(": ")
        if key in out or key not in _KEYS or not _is_plain(key, text):
            return None
        out[key] = int(text) if key in ("size", "nfiles") else text
    return {"outs": [out]}


def as_plain(content: Mapping[str, Json]) -> bytes | None:
    """What ``dump_yaml`` writes, if that can be told without it; ``None``: it needs it."""
    outs = content.get("outs")
    if len(content) != 1 or not isinstance(outs, Sequence) or len(outs) != 1 or not isinstance(outs[0], dict):
        return None
    lines = []
    for key, value in outs[0].items():
        is_count = key in ("size", "nfiles")
        if key not in _KEYS or type(value) is not (int if is_count else str) or not _is_plain(key, str(value)):
            return None
        lines.append(f"{key}: {value}")
    return ("outs:\n- " + "\n  ".join(lines) + "\n").encode() if lines else None


def _is_plain(key: str, text: str) -> bool:
    if key in ("size", "nfiles"):
        return _COUNT.fullmatch(text) is not None
    if key == "md5":
        return _DIGEST.fullmatch(text) is not None
    return _TEXT.fullmatch(text) is not None and len(text) <= _LONGEST and text.lower() not in _MEANT
