"""Reading a TOML table key by key: wrong types and unknown keys are named, with the nearest key that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar, cast

from kairos.errors import SettingsError, UsageError, did_you_mean
from kairos.values import parse_duration

__all__ = ["Reader"]

T = TypeVar("T")


class Reader:
    """One table of ``kairos.toml``. Take every key that is known, then call :meth:`done`.

    Args:
        values: The table as ``tomllib`` gives it.
        path: Its name, such as ``model.demand``; empty for the whole file.
    """

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = dict(values)
        self._known: list[str] = []
        self.path = path

    def text(self, key: str, default: str | None = None) -> str:
        """A required text, or one with a default."""
        return cast("str", self._take(key, str, "text", default))

    def optional_text(self, key: str) -> str | None:
        """A text that may be left out."""
        return cast("str | None", self._take(key, str, "text", None, required=False))

    def number(self, key: str, default: float) -> float:
        """A number; ``true`` is none."""
        return float(self._take(key, (int, float), "a number", default))

    def optional_number(self, key: str) -> float | None:
        """A number that may be left out."""
        value = self._take(key, (int, float), "a number", None, required=False)
        return None if value is None else float(value)

    def whole(self, key: str, default: int) -> int:
        """A whole number."""
        return cast("int", self._take(key, int, "a whole number", default))

    def flag(self, key: str, *, default: bool) -> bool:
        """``true`` or ``false``."""
        return cast("bool", self._take(key, bool, "true or false", default))

    def has(self, key: str) -> bool:
        """Whether the key is there and not taken yet; either way it is one that can be."""
        self._known.append(key)
        return key in self._values

    def names(self) -> tuple[str, ...]:
        """The keys that are not taken yet, in their order."""
        return tuple(self._values)

    def length(self, key: str, default: timedelta) -> timedelta:
        """A length of time, such as ``"7d"``."""
        text = self._take(key, str, "a length of time, as in '7d'", None, required=False)
        return default if text is None else self.parsed(key, parse_duration, text)

    def optional_whole(self, key: str) -> int | None:
        """A whole number that may be left out."""
        return cast("int | None", self._take(key, int, "a whole number", None, required=False))

    def optional_length(self, key: str) -> timedelta | None:
        """A length of time that may be left out."""
        text = self.optional_text(key)
        return None if text is None else self.parsed(key, parse_duration, text)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of these words."""
        word = self.text(key, default)
        if word not in choices:
            raise SettingsError(
                f"{self.name(key)} is not one of the words it can be.",
                given=word,
                accepted=", ".join(choices),
                hint=did_you_mean(word, choices),
            )
        return word

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of texts."""
        values = self._take(key, list, "a list of texts", list(default))
        if not all(isinstance(v, str) for v in values):
            raise SettingsError(f"{self.name(key)} holds something that is not text.", given=values)
        return tuple(values)

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """A text, or a list of different ones; nothing if it is left out."""
        value = self._take(key, (str, list), "a text or a list of texts", None, required=False)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not value or not all(isinstance(v, str) for v in value) or len(set(value)) < len(value):
            raise SettingsError(f"{self.name(key)} is no list of different texts.", given=value)
        return tuple(value)

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """A list of numbers that may be left out."""
        values = self._take(key, list, "a list of numbers", None, required=False)
        if values is None:
            return None
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            raise SettingsError(f"{self.name(key)} holds something that is not a number.", given=values)
        return tuple(float(v) for v in values)

    def raw(self, key: str, default: Any) -> Any:
        """Whatever stands there."""
        self._known.append(key)
        return self._values.pop(key, default)

    def table(self, key: str) -> Reader:
        """A table within this one; empty if it is left out."""
        return Reader(self._take(key, dict, "a table", {}), self.name(key))

    def tables(self, key: str) -> dict[str, Reader]:
        """Named tables within this one, such as ``[model.demand]`` in ``model``."""
        inner = self._take(key, dict, "a table", {})
        for name, value in inner.items():
            if not isinstance(value, dict):
                raise SettingsError(
                    f"{self.name(key)} needs named tables.", given=f"{name} = {value!r}", hint=f"Write [{key}.NAME]."
                )
        return {name: Reader(value, f"{self.name(key)}.{name}") for name, value in inner.items()}

    def parsed(self, key: str, parse: Callable[[Any], T], text: Any) -> T:
        """``parse(text)``, with the key's name put before its complaint."""
        try:
            return parse(text)
        except UsageError as error:
            raise SettingsError(
                f"{self.name(key)}: {error.what}", given=error.given, accepted=error.accepted, hint=error.hint
            ) from error

    def name(self, key: str) -> str:
        """The key's full name."""
        return f"{self.path}.{key}" if self.path else key

    def done(self) -> None:
        """Refuses keys that nobody took."""
        for key in self._values:
            raise SettingsError(
                f"kairos.toml: there is no setting {self.name(key)!r}.",
                accepted=", ".join(sorted(set(self._known))),
                hint=did_you_mean(key, self._known),
            )

    def _take(self, key: str, kind: type | tuple[type, ...], what: str, default: Any, *, required: bool = True) -> Any:
        self._known.append(key)
        if key not in self._values:
            if default is None and required:
                raise SettingsError(f"kairos.toml: {self.name(key)} is missing.", accepted=what)
            return default
        value = self._values.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise SettingsError(f"kairos.toml: {self.name(key)} has the wrong type.", given=value, accepted=what)
        return value
