"""What a model answers a row with: one number, or named numbers: of several targets, chances of classes, quantiles.

Inside, an answer is one number or a row of numbers; names are put to them where it leaves, the same in every protocol,
in the prediction log and in a table of answers. Loads numpy alone: the model server does this for every request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kairos.errors import PackageError
from kairos.values import Json

if TYPE_CHECKING:
    import numpy as np  # settings are read without it

__all__ = [
    "MOST_NUMBERS",
    "ClassName",
    "Output",
    "OutputKind",
    "among",
    "answers_a_row",
    "beside_lead",
    "check_outputs",
    "lead_of",
    "leads",
    "named",
    "told_row",
    "width_of",
]

OutputKind = Literal["number", "class", "quantiles"]

ClassName = str | int | float

MOST_NUMBERS = 1_000
"""Most numbers that a model may answer a row with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One of the outputs of a model that gives more than one number a row.

    >>> kind = Output(name="kind", kind="class", classes=("cat", "dog"))
    >>> kind.names, kind.told([0.25, 0.75])
    (('kind.cat', 'kind.dog'), {'kind': 'dog', 'kind.cat': 0.25, 'kind.dog': 0.75})
    """

    name: str
    """Of the target."""
    kind: OutputKind = "number"
    classes: tuple[ClassName, ...] = ()
    """Of a class all that training held, sorted; the model gives a chance for each, and they add up to 1."""
    quantiles: tuple[float, ...] = ()
    """Of quantiles their shares, ascending."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of its numbers, in order."""
        if self.kind == "class":
            return tuple(f"{self.name}.{_text(each)}" for each in self.classes)
        if self.kind == "quantiles":
            return tuple(f"{self.name}.q{each:g}" for each in self.quantiles)
        return (self.name,)

    @property
    def fields(self) -> tuple[tuple[str, bool], ...]:
        """The names of what leaves, each with whether it is text: of a class its name comes before the chances."""
        own = ((self.name, self.has_text),) if self.kind == "class" else ()
        return (*own, *((name, False) for name in self.names))

    @property
    def has_text(self) -> bool:
        """Whether its classes have names and not numbers."""
        return any(isinstance(each, str) for each in self.classes)

    def told(self, numbers: Sequence[float]) -> dict[str, ClassName]:
        """What leaves, by name. Of equal chances the first class is said."""
        found: dict[str, ClassName] = {}
        if self.kind == "class":
            found[self.name] = self.classes[max(range(len(numbers)), key=numbers.__getitem__)]
        return found | dict(zip(self.names, numbers, strict=True))

    def codes(self, values: Iterable[object]) -> np.ndarray[Any, Any]:
        """The places of classes, shape (n,), float64; -1 for one that is none of them."""
        import numpy as np

        places: dict[object, int] = {each: place for place, each in enumerate(self.classes)}
        return np.array([places.get(value, -1) for value in values], dtype=np.float64)

    @classmethod
    def from_plain(cls, value: Json) -> Output:
        """Reads what ``plain`` of ``values`` wrote."""
        return cls(**{**value, "classes": tuple(value["classes"]), "quantiles": tuple(value["quantiles"])})


def width_of(outputs: Sequence[Output]) -> int:
    """How many numbers answer a row."""
    return sum(len(each.names) for each in outputs) if outputs else 1


def told_row(outputs: Sequence[Output], numbers: Sequence[float]) -> dict[str, ClassName]:
    """An answer of several numbers as it leaves, by name."""
    found: dict[str, ClassName] = {}
    at = 0
    for output in outputs:
        width = len(output.names)
        found |= output.told(numbers[at : at + width])
        at += width
    return found


def named(outputs: Sequence[Output], answers: Sequence[Sequence[float]]) -> dict[str, list[Any]]:
    """Answers to many rows as columns by name, as they leave."""
    rows = [told_row(outputs, numbers) for numbers in answers]
    return {name: [row[name] for row in rows] for output in outputs for name, _ in output.fields}


def leads(outputs: Sequence[Output], answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One number a row that stands for an answer where only one can be shown, shape (n,).

    Of the first output: a number itself, the middle one of quantiles, of a class its number, or its place if it has
    a name. A row with a number that is not finite has NaN.

    Args:
        outputs: None: the answers are returned as they are.
        answers: Shape (n,) or (n, numbers).
    """
    if not outputs:
        return answers
    import numpy as np

    first = outputs[0]
    own = answers[:, : len(first.names)]
    if first.kind == "class":
        of = np.arange(len(first.classes)) if first.has_text else np.array(first.classes)
        found = of[own.argmax(axis=1)].astype(np.float64)
    else:
        found = own[:, (own.shape[1] - 1) // 2].astype(np.float64)
    return np.where(np.isfinite(answers).all(axis=1), found, np.nan)


def beside_lead(outputs: Sequence[Output], answers: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Numbers that the lead does not show and that may move on their own, by name, shape (n,); chances are none.

    Args:
        outputs: None: there are none.
        answers: Shape (n, numbers).
    """
    if not outputs or outputs[0].kind == "class":
        return {}
    lead = 0 if outputs[0].kind == "number" else (len(outputs[0].names) - 1) // 2
    return {name: answers[:, at] for at, name in enumerate(_names(outputs)) if at != lead}


def lead_of(outputs: Sequence[Output], numbers: Sequence[float]) -> float:
    """The lead of one answer whose numbers are finite, as ``leads`` has it."""
    first = outputs[0]
    own = numbers[: len(first.names)]
    if first.kind != "class":
        return own[(len(own) - 1) // 2]
    place = max(range(len(own)), key=own.__getitem__)
    return float(place) if first.has_text else float(first.classes[place])


def answers_a_row(answer: np.ndarray[Any, Any], rows: int, outputs: Sequence[Output] = ()) -> np.ndarray[Any, Any]:
    """Returns predictions as float64 of shape (rows,), or (rows, numbers) if there are several outputs.

    Of a model of one number that gives the probabilities of two classes it is the second.

    Raises:
        PackageError: the estimator gives something else.
    """
    width = width_of(outputs)
    wanted: tuple[int, ...] = (rows, width) if outputs else (rows,)
    if not outputs and answer.shape == (rows, 2):
        answer = answer[:, 1]
    elif answer.shape == (rows, 1) and width == 1:
        answer = answer[:, 0]
    if outputs and width == 1 and answer.shape == (rows,):
        answer = answer[:, None]
    if answer.shape != wanted or answer.dtype.kind not in "iufb":
        raise PackageError(
            "A model has to give one number a row." if not outputs else f"A model has to give {width} numbers a row.",
            given=f"{answer.dtype} of shape {answer.shape} for {rows} rows",
            accepted=f"numbers of shape ({rows},), or the probabilities of two classes"
            if not outputs
            else f"numbers of shape ({rows}, {width}): {', '.join(_names(outputs)[:20])}",
        )
    import numpy as np

    return np.ascontiguousarray(answer, dtype=np.float64)


def check_outputs(outputs: Sequence[Output]) -> None:
    """Refuses more numbers than a model may give, and two of one name.

    Raises:
        PackageError: there are.
    """
    names = [name for output in outputs for name, _ in output.fields]
    if len(names) > MOST_NUMBERS:
        raise PackageError("A model gives too many numbers a row.", given=len(names), accepted=f"up to {MOST_NUMBERS}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PackageError("Two outputs of a model have one name.", given=twice, accepted="each name once")


def among(output: Output, classes: Sequence[ClassName], chances: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Chances of an output's classes as chances of these, 0 for those that it does not know.

    >>> import numpy as np
    >>> among(Output(name="kind", kind="class", classes=("a", "c")), ("a", "b", "c"), np.array([[0.25, 0.75]])).tolist()
    [[0.25, 0.0, 0.75]]
    """
    import numpy as np

    found = np.zeros((len(chances), len(classes)))
    for place, each in enumerate(classes):
        if each in output.classes:
            found[:, place] = chances[:, output.classes.index(each)]
    return found


def _names(outputs: Sequence[Output]) -> list[str]:
    return [name for output in outputs for name in output.names]


def _text(value: ClassName) -> str:
    return value if isinstance(value, str) else f"{value:g}"
