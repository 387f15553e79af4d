"""Every error that Kairos raises, in one tree.

A message has up to four parts, in this order: what failed, what was given, what is accepted, and what to type next.

    KairosError
    ├── UsageError ........... the caller typed or sent something that cannot be used      exit 2, HTTP 400
    │   ├── SettingsError ..... kairos.toml
    │   └── InputRefused ...... a request to the model server                               HTTP 422
    ├── NotFound .............. a name that is not there                                    HTTP 404
    │   ├── BlobMissing
    │   └── Erased ........... the key of what was kept about somebody is gone            HTTP 410
    ├── PipelineError ......... the user's project cannot run as written
    │   ├── GraphError ........ cycles, unknown names, duplicate steps
    │   ├── OutputError ....... an output that cannot be stored
    │   ├── StepFailed ........ the user's own code raised; her traceback is kept
    │   └── DataRefused ....... a data check failed (leakage is one)
    ├── StoreError
    │   ├── BlobDamaged
    │   └── RemoteFailed ...... a remote cannot be reached, or does not do what it is asked
    ├── LedgerError
    │   ├── LedgerBroken ...... an entry does not match its hash
    │   ├── LedgerBusy ........ another process holds the writer's place
    │   └── LedgerMoved ....... somebody else decided first
    ├── PackageError .......... a model package that cannot be read or trusted
    ├── SealBroken ............ sealed bytes that do not open with the key at hand
    ├── TransitionRefused ..... a stage change that the rules do not allow                  HTTP 409
    ├── ShapeMismatch ......... arrays that should be paired are not
    ├── Overloaded ............ the server has more waiting than it can answer in time      HTTP 503
    ├── Unavailable ........... nothing is live                                             HTTP 503
    └── AdapterError .......... an outside engine failed
        └── AdapterMissing .... an outside engine is not installed
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

__all__ = [
    "AdapterError",
    "AdapterMissing",
    "BlobDamaged",
    "BlobMissing",
    "DataRefused",
    "Erased",
    "GraphError",
    "InputRefused",
    "KairosError",
    "Late",
    "LedgerBroken",
    "LedgerBusy",
    "LedgerError",
    "LedgerMoved",
    "NotFound",
    "OutputError",
    "Overloaded",
    "PackageError",
    "PipelineError",
    "RemoteFailed",
    "SealBroken",
    "SettingsError",
    "ShapeMismatch",
    "StepFailed",
    "StoreError",
    "TransitionRefused",
    "Unavailable",
    "UsageError",
    "did_you_mean",
    "without_addresses",
]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class KairosError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: What failed, with its name; a full sentence.
        given: What was given (shown with ``repr`` unless it is already text).
        accepted: What is accepted or available.
        hint: The command or code to type.
        facts: Further named facts, kept on ``self.facts`` for machines.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        what: str,
        *,
        given: object = None,
        accepted: str | None = None,
        hint: str | None = None,
        **facts: Any,
    ) -> None:
        what = without_addresses(what)
        shown = given if isinstance(given, str) else repr(given)
        if without_addresses(shown) != shown:
            given = shown = without_addresses(shown)
        self.what = what
        self.given = given
        self.accepted = accepted
        self.hint = hint
        self.facts = facts
        parts = [what]
        if given is not None:
            parts.append(f"Given: {shown}.")
        if accepted is not None:
            parts.append(f"Accepted: {accepted}.")
        if hint is not None:
            parts.append(hint)
        super().__init__(" ".join(parts))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.what, self.given, self.accepted, self.hint, self.facts))

    @property
    def code(self) -> str:
        """The error's name for machines: ``InputRefused`` is ``input_refused``."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _rebuild(
    kind: type[KairosError],
    what: str,
    given: object,
    accepted: str | None,
    hint: str | None,
    facts: dict[str, Any],
) -> KairosError:
    return kind(what, given=given, accepted=accepted, hint=hint, **facts)


class UsageError(KairosError, ValueError):
    """Something was typed or sent that cannot be used."""

    exit_code = 2
    http_status = 400


class SettingsError(UsageError):
    """``kairos.toml`` holds a key or value that is not accepted."""


class InputRefused(UsageError):
    """A request to the model server does not fit the model's signature."""

    http_status = 422


class NotFound(KairosError, LookupError):
    """A name that is not there."""

    http_status = 404


class BlobMissing(NotFound):
    """The store holds no blob of that digest."""


class Erased(NotFound):
    """What was kept about somebody cannot be read any more: the key was deleted, on purpose."""

    http_status = 410


class PipelineError(KairosError):
    """The project's pipeline cannot run as it is written."""


class GraphError(PipelineError, ValueError):
    """Cycles, unknown names, duplicate steps."""


class OutputError(PipelineError, TypeError):
    """A step returned something that cannot be stored and read back."""


class StepFailed(PipelineError, RuntimeError):
    """The project's own code raised; ``facts['traceback']`` is its own traceback, as text."""


class DataRefused(PipelineError, ValueError):
    """A check on data failed; nothing downstream ran."""


class StoreError(KairosError, OSError):
    """The store cannot do what was asked."""

    def __str__(self) -> str:  # OSError would print its arguments as a tuple
        return str(self.args[0])


class BlobDamaged(StoreError):
    """A blob's bytes do not match its digest; it was not used."""


class RemoteFailed(StoreError):
    """A remote cannot be reached, or does not do what it is asked; what arrived is kept."""


class LedgerError(KairosError):
    """The ledger cannot do what was asked."""


class LedgerBroken(LedgerError, ValueError):
    """An entry does not match its hash; ``facts['seq']`` is the first such entry."""


class LedgerBusy(LedgerError, TimeoutError):
    """Another process holds the writer's place for too long."""

    def __str__(self) -> str:  # TimeoutError is an OSError
        return str(self.args[0])


class LedgerMoved(LedgerError):
    """Somebody else wrote a fact about this subject since it was read."""


class PackageError(KairosError):
    """A model package cannot be read, or may not be trusted."""


class SealBroken(KairosError, ValueError):
    """Sealed bytes do not open with the key at hand: another's, from before an erasure, moved, or damaged."""


class TransitionRefused(KairosError):
    """A stage change that the rules do not allow."""

    http_status = 409


class ShapeMismatch(KairosError, ValueError):
    """Arrays that should be paired are not."""


class Overloaded(KairosError):
    """More requests wait than can be answered in time."""

    http_status = 503


class Late(KairosError):
    """The answer took longer than its client waits."""

    http_status = 504


class Unavailable(KairosError):
    """No version is live, or the server is not ready yet."""

    http_status = 503


class NotCaptured(Unavailable):
    """A prediction was made and is not safely on record, and without that no answer leaves."""


class AdapterError(KairosError, RuntimeError):
    """An outside engine failed."""


class AdapterMissing(AdapterError, ImportError):
    """An outside engine is not installed."""

    def __str__(self) -> str:  # ImportError would print its ``msg``
        return str(self.args[0])


def without_addresses(text: str) -> str:
    """The text without places in memory, which say nothing to anybody and differ from process to process.

    >>> without_addresses("<function near at 0x7f3bd2a1e020> is not in [<object object at 0x7f3bd2c9>]")
    '<function near> is not in [<object object>]'
    """
    return _ADDRESS.sub("", text)


def did_you_mean(name: str, choices: Iterable[str]) -> str | None:
    """Returns ``"Did you mean 'x'?"`` for the nearest of ``choices``, or ``None`` if nothing is near.

    >>> did_you_mean("feautres", ["features", "split"])
    "Did you mean 'features'?"
    >>> did_you_mean("zzz", ["features"]) is None
    True
    """
    import difflib  # a command that goes well needs none of it

    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else None
