"""YAML 1.2 as DVC reads and writes it. PyYAML speaks 1.1, where ``no`` is false and ``1e5`` is not a number."""

from __future__ import annotations

import re

import yaml

from kairos.values import Json

__all__ = ["dump_yaml", "load_yaml"]

_PLAIN = (  # what stands for something other than text, and the characters it may start with
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+([eE][-+][0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("timestamp", r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?([Tt]|[ \t]+)\d\d?:\d\d:\d\d.*", list("0123456789")),
    ("merge", r"<<", ["<"]),
    ("value", r"=", ["="]),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


for _kind, _pattern, _first in _PLAIN:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), _first)


def dump_yaml(value: Json) -> bytes:
    """Writes a value, keys in the order given.

    >>> dump_yaml({"path": "no", "md5": "1e5"})
    b"path: no\\nmd5: '1e5'\\n"
    """
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text.encode()


def load_yaml(data: bytes) -> Json:
    """Reads a value.

    Raises:
        ValueError: the bytes are not YAML.

    >>> load_yaml(b"path: no")
    {'path': 'no'}
    """
    try:
        return yaml.load(data.decode(), Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
