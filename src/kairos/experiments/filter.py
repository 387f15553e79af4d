"""``--where``: a condition on runs, read once into values. It is data: nothing of what was typed is ever executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from kairos.errors import UsageError

__all__ = ["Both", "Condition", "Either", "Is", "Not", "Operator", "names_in", "parse_where"]

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
"""``~``: holds the text."""

ACCEPTED = (
    "NAME OPERATOR VALUE, as in demand.absolute_error < 40; operators = != < <= > >= ~, joined by and, or, not, ( )"
)

_MOST = 100
"""Comparisons in one condition, and parentheses in each other: SQLite has limits, and so have readers."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator><=|>=|!=|==|=|<|>|~)
      | (?P<parenthesis>[()])
      | (?P<word>[^\s()<>=!~"']+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Is:
    """One comparison."""

    name: str
    operator: Operator
    value: str
    is_quoted: bool
    """Whether the value was put in quotes: then it is text, whatever it looks like."""


@dataclass(frozen=True, slots=True)
class Both:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Some part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = Is | Both | Either | Not


def parse_where(text: str) -> Condition:
    """Reads a condition such as ``demand.absolute_error < 40 and (status = failed or not by = ann)``.

    ``and`` binds more tightly than ``or``. A name or a value with blanks is put in quotes.

    >>> parse_where("status = failed")
    Is(name='status', operator='=', value='failed', is_quoted=False)

    Raises:
        UsageError: the text is no condition; the message says where it ends to be one.
    """
    return _Reader(text).whole()


def names_in(condition: Condition) -> Iterator[str]:
    """The names that it compares, in their order."""
    match condition:
        case Is():
            yield condition.name
        case Not():
            yield from names_in(condition.part)
        case _:
            for part in condition.parts:
                yield from names_in(part)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    """Reads from left to right; one function for each strength of binding."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0
        if sum(token.kind == "operator" for token in self._tokens) > _MOST:
            raise UsageError(f"A condition has more than {_MOST} comparisons.")

    def whole(self) -> Condition:
        found = self._either()
        if self._next < len(self._tokens):
            raise self._refused("and, or, or the end")
        return found

    def _split(self) -> Iterator[_Token]:
        at, end = 0, len(self._text.rstrip())
        while at < end:
            found = _TOKEN.match(self._text, at)
            if found is None or found.lastgroup is None:
                raise self._refused_at(at, "a name, an operator or a value, with its quotes closed")
            yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
            at = found.end()

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._took_word("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._took_word("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > _MOST:
            raise UsageError(f"A condition has more than {_MOST} parts in each other.")
        try:
            if self._took_word("not"):
                return Not(self._one())
            if self._took("parenthesis", "("):
                inside = self._either()
                if not self._took("parenthesis", ")"):
                    raise self._refused("and, or, or )")
                return inside
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Is:
        name = self._value("a name")
        operator = self._take("operator", "one of = != < <= > >= ~")
        value = self._value("a value")
        meant = "=" if operator.text == "==" else operator.text
        assert meant in get_args(Operator)
        return Is(name=_bare(name), operator=meant, value=_bare(value), is_quoted=value.kind == "quoted")  # type: ignore[arg-type]

    def _value(self, what: str) -> _Token:
        if self._next < len(self._tokens) and self._tokens[self._next].kind in ("word", "quoted"):
            self._next += 1
            return self._tokens[self._next - 1]
        raise self._refused(what)

    def _take(self, kind: str, what: str) -> _Token:
        if self._next == len(self._tokens) or self._tokens[self._next].kind != kind:
            raise self._refused(what)
        self._next += 1
        return self._tokens[self._next - 1]

    def _took(self, kind: str, text: str) -> bool:
        token = self._tokens[self._next] if self._next < len(self._tokens) else None
        if token is None or token.kind != kind or token.text.lower() != text:
            return False
        self._next += 1
        return True

    def _took_word(self, word: str) -> bool:
        return self._took("word", word)

    def _refused(self, accepted: str) -> UsageError:
        at = self._tokens[self._next].at if self._next < len(self._tokens) else len(self._text)
        return self._refused_at(at, accepted)

    def _refused_at(self, at: int, accepted: str) -> UsageError:
        rest = self._text[at:].strip()
        where = f"at {rest[:40]!r}" if rest else "at its end"
        return UsageError(
            f"--where cannot be read {where}.", given=self._text, accepted=accepted, hint=f"Write {ACCEPTED}."
        )


def _bare(token: _Token) -> str:
    """Without its quotes; a backslash makes the character after it an ordinary one."""
    return re.sub(r"\\(.)", r"\1", token.text[1:-1]) if token.kind == "quoted" else token.text
