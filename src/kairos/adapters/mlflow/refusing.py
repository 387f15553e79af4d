"""What MLflow's errors say: that the server is not to be had, or that it does not take what it was sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mlflow.exceptions import MlflowException
from requests.exceptions import HTTPError, RequestException

from kairos.adapters.mlflow.naming import shorten
from kairos.errors import KairosError

__all__ = ["Taking", "is_refusal"]

_REFUSED = ("ALREADY_EXISTS", "INVALID_PARAMETER_VALUE", "NOT_IMPLEMENTED", "RESOURCE_ALREADY_EXISTS")
"""MLflow's own words for what was sent. All others speak of the server, its database, of rights, or of an address."""
_DATA = re.compile(r"\(\w[\w.]*(DataError|IntegrityError|OutOfRange|Truncation|UntranslatableCharacter)\)")
"""What its database says of a value, as MLflow hands it on; of a lost connection it may say the same."""
_LENGTH = 200
"""Of what is said of one part; names may be long, and be what is wrong."""
_TOO_LARGE = "failed with error code 413"


def is_refusal(error: BaseException) -> bool:
    """Whether the same would be refused again however often it is sent; else it may be taken another time.

    What is doubtful is no refusal, as what was refused is not sent again: an answer that MLflow did not write itself,
    one about rights, a database that is locked, a disk that is full.
    """
    if isinstance(error, KairosError):
        return not error.facts.get("passing", False)
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code in (400, 413)
    if isinstance(error, MlflowException):
        if error.error_code == "BAD_REQUEST":
            return _DATA.search(str(error)) is not None
        if _is_passing(error.__cause__ or error.__context__):
            return False
        if str(error).startswith("API request to"):  # what stands between answered, and not MLflow
            return _TOO_LARGE in str(error)
        return error.error_code in _REFUSED
    return not _is_passing(error)


def _is_passing(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, (RequestException, OSError)):  # OSError: connections, disks, time-outs
            return True
        if type(error).__module__.startswith("sqlalchemy"):  # which a server's client does without
            return True
        error = error.__cause__ or error.__context__
    return False


class Taking:
    """Hands the parts of one record over, one by one; what is refused is left out, and told at the end."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        """Each with the reason, in MLflow's words."""

    def __call__(self, what: str, hand_over: Callable[[], Any]) -> bool:
        """Hands a part over.

        Args:
            what: The part, as a person calls it.
            hand_over: Does it.

        Returns:
            Whether it was taken.

        Raises:
            Exception: it may be taken another time.
        """
        try:
            hand_over()
        except Exception as error:
            if not is_refusal(error):
                raise
            said = str(error).strip().partition("\n")[0].removeprefix(f"{getattr(error, 'error_code', '')}: ")
            self.refused.append(f"{shorten(what, _LENGTH)}: {shorten(said, _LENGTH)}")
            return False
        return True

    def each(self, kind: str, parts: Sequence[Any], hand_over: Callable[[list[Any]], Any]) -> None:
        """Hands parts over together, and where that is refused those of each name by themselves.

        Args:
            kind: What a part is called, before its name.
            parts: Each has its name as ``key``; several may have one.
            hand_over: Of some of them.
        """
        if parts and not Taking()(kind, lambda: hand_over([*parts])):
            for name in dict.fromkeys(part.key for part in parts):
                own = [part for part in parts if part.key == name]
                self(f"{kind} {name!r}", partial(hand_over, own))
