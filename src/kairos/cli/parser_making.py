"""What every command of the parser is made with. Loads nothing but ``argparse``."""

from __future__ import annotations

import argparse
import math
from typing import Any, TypeAlias

__all__ = ["TABLE", "Commands", "command", "count", "gap"]

Commands: TypeAlias = "argparse._SubParsersAction[Any]"
TABLE = "a file, PATH[@REVISION] that is tracked, a digest, ARTIFACT[@RUN]"
"""What names a table."""


def command(
    commands: Commands, name: str, execute: str, summary: str, *, is_action: bool = False
) -> argparse.ArgumentParser:
    """Adds a command, with what every command has."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(execute=execute)
    default = argparse.SUPPRESS if is_action else False  # or ``ledger --json log`` would forget what came before
    parser.add_argument("--json", action="store_true", default=default, help="print JSON")
    return parser


def count(text: str) -> int:
    """One or more; argparse names the option and what was given."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def gap(text: str) -> float:
    """How far two numbers may be apart, from 0 on; NaN would let nothing through and say so nowhere."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0.0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return found
