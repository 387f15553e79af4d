"""The command line: parse, call ``app``, print. Nothing is decided here."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from kairos.cli.output import fail, stopped
from kairos.cli.parser import make_parser
from kairos.errors import KairosError, UsageError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 error, 2 usage, 3 gate failed, 4 gate holds."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # rows are few here; steps ask for their threads themselves
    typed = sys.argv[1:] if arguments is None else arguments
    try:
        args = make_parser(typed).parse_args(typed)
    except UsageError as error:
        return _mistyped(error, as_json="--json" in typed)
    module, _, function = args.execute.partition(":")
    try:
        with _terminated_as_by_ctrl_c():
            code: int = getattr(import_module(f"kairos.cli.{module}"), function)(args)
            sys.stdout.flush()
    except KairosError as error:
        return fail(error, as_json=args.json)
    except KeyboardInterrupt as stop:
        return stopped(str(stop) or "stopped", as_json=bool(args.json))
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit would complain about it again
        return 0
    except Exception as error:
        defects = import_module("kairos.cli.defects")
        if os.environ.get(defects.SHOW):
            raise
        return fail(defects.explained(error), as_json=args.json)
    return code


@contextmanager
def _terminated_as_by_ctrl_c() -> Iterator[None]:
    """What a service manager or a CI job sends at its end is told, recorded and cleaned up after, as Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _mistyped(error: UsageError, *, as_json: bool) -> int:
    """As argparse would have told it, or as every error is told to a machine."""
    if as_json:
        return fail(error, as_json=True)
    print(f"{error.facts['usage']}error: {error.what}", file=sys.stderr)
    return error.exit_code
