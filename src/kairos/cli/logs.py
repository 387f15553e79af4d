"""The log of a command that stays: one line for each thing, with its time, as people and CI read it."""

from __future__ import annotations

import logging
import sys
import time

__all__ = ["log_to_stderr"]


def log_to_stderr() -> None:
    """Lets what the loop decides, and what goes wrong anywhere, be told on stderr.

    A line has a time in UTC, how grave it is, one sentence: ``2012-03-03 14:00:05Z INFO    demand@3 gate pass: ...``
    Only an error that nobody raised on purpose is followed by its traceback.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)sZ %(levelname)-7s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("kairos.loop").setLevel(logging.INFO)


class _OneLine(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without credentials of the environment in what went wrong."""
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        from kairos.pipeline.origins.secrets import note_environment, redacted  # most lines need none of it

        note_environment()
        return redacted(text)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name in the standard library
        """The line, whatever the message holds."""
        record.message = " ".join(record.message.split())
        return super().formatMessage(record)
