"""Past decisions made again, from the ledger alone, and compared byte for byte with what was written down then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from kairos.delivery.control import ControlPolicy, may_go_forward, refusals
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.rollout.deciding import decide_again
from kairos.delivery.stages import MEETS_TRAFFIC
from kairos.delivery.state import DeliveryState
from kairos.delivery.versions import ModelState, VersionState
from kairos.errors import NotFound, UsageError
from kairos.gates.again import decide_again as decide_gate_again
from kairos.ledger import Entry, Ledger
from kairos.values import Json, VersionRef, canonical_json

__all__ = ["Recomputed", "recompute", "recompute_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """One decision, made again."""

    seq: int
    kind: str
    subject: str
    outcome: Literal["identical", "differs", "unknown"]
    """``unknown``: the ledger does not hold what it was made from."""
    differences: tuple[str, ...] = ()
    """Of ``differs``: each field with what was written and what comes out now; of ``unknown``: why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What the ledger told when a decision was made."""

    state: DeliveryState
    gates: Mapping[str, str]
    """The last gate's sentence on each version."""

    def of(self, subject: str) -> tuple[ModelState, VersionState]:
        ref = VersionRef.parse(subject)
        model = self.state.model(ref.model)
        return model, model.version(ref.number)


class _Unknown(Exception):
    """The ledger does not hold what a decision was made from; the message says what."""


def recompute(ledger: Ledger, seq: int) -> Recomputed:
    """Makes one decision again.

    Raises:
        NotFound: there is no such entry, or it is no decision.
    """
    hint = "Type: kairos ledger log"
    if not 1 <= seq <= ledger.head():
        raise NotFound(f"The ledger has no entry {seq}.", accepted=f"1 to {ledger.head()}", hint=hint)
    found = {one.seq: one for one in recompute_all(ledger)}
    if seq not in found:
        raise NotFound(f"Entry {seq} of the ledger is no decision.", accepted=", ".join(sorted(_MAKERS)), hint=hint)
    return found[seq]


def recompute_all(ledger: Ledger) -> Iterator[Recomputed]:
    """Makes every decision of a ledger again, in order."""
    state, gates = DeliveryState(), dict[str, str]()
    for entry in ledger.read():
        if entry.kind in _MAKERS:
            yield _compared(entry, _Before(state=state, gates=gates))
        if entry.kind == "gate.decided":
            gates[entry.subject] = str(entry.body.get("sentence"))
        state = DeliveryState.fold([entry], start=state)


def _compared(entry: Entry, before: _Before) -> Recomputed:
    try:
        made = _MAKERS[entry.kind](entry, before)
    except _Unknown as why:
        return Recomputed(
            seq=entry.seq, kind=entry.kind, subject=entry.subject, outcome="unknown", differences=(str(why),)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # a plain form that is not read any more
        why_not = f"its policy or evidence cannot be read: {type(error).__name__}: {error}"
        return Recomputed(
            seq=entry.seq, kind=entry.kind, subject=entry.subject, outcome="unknown", differences=(why_not,)
        )
    found = tuple(
        f"{name}: {_text(entry.body.get(name))} was written, {_text(value)} comes out"
        for name, value in made.items()
        if canonical_json(entry.body.get(name)) != canonical_json(value)
    )
    outcome: Literal["identical", "differs"] = "differs" if found else "identical"
    return Recomputed(seq=entry.seq, kind=entry.kind, subject=entry.subject, outcome=outcome, differences=found)


def _gate(entry: Entry, before: _Before) -> dict[str, Json]:
    body = entry.body
    if not body.get("policy") or not body.get("evidence"):
        raise _Unknown("it was written down without policy and evidence")
    try:
        decision = decide_gate_again(body).decision
    except UsageError as error:  # of a format to come
        raise _Unknown(error.what) from error
    made = {
        "verdict": decision.verdict,
        "sentence": decision.sentence,
        "reasons": list(decision.reasons),
        "needed_rows": decision.needed_rows,
        "ready_on": decision.ready_on,
    }
    return {name: value for name, value in made.items() if name in body}


def _retrain(entry: Entry, before: _Before) -> dict[str, Json]:
    body = entry.body
    if not body.get("policy") or not body.get("facts"):
        raise _Unknown("it was written down without policy and facts")
    decision = decide_retrain(RetrainPolicy.from_plain(body["policy"]), RetrainFacts.from_plain(body["facts"]))
    made: dict[str, Json] = decision.plain()
    return made


def _moved(entry: Entry, before: _Before) -> dict[str, Json]:
    body, to = entry.body, entry.body["to"]
    if body.get("question") is not None:
        made = _rollout(body)
        return made | (_allowed(entry, before) if body.get("control") and to in MEETS_TRAFFIC else {})
    if body.get("override") is not None:
        raise _Unknown(f"{entry.actor} went past the rules: {body['override']}")
    if body.get("control") is not None:
        if to in MEETS_TRAFFIC:
            return _allowed(entry, before)
        return {"verdict": "fail", "reasons": [one.sentence for one in refusals(before.of(entry.subject)[1])]}
    if to == "rejected" and entry.subject in before.gates:
        verdict = before.of(entry.subject)[1].verdict
        return {"verdict": verdict, "reasons": [before.gates[entry.subject]]}
    if body.get("policy"):
        raise _Unknown("it was written down without the question that was asked")
    raise _Unknown(f"it was {entry.actor}'s own word")


def _rollout(body: Json) -> dict[str, Json]:
    decision = decide_again(body["question"], body["policy"], body["evidence"])
    made: dict[str, Json] = {"verdict": decision.verdict, "words": list(decision.words)}
    if decision.sentence not in body["reasons"]:
        made["reasons"] = [decision.sentence]
    if decision.action not in ("advance", "rollback", "hold"):
        made["to"] = None  # nothing would have been done
    elif body["question"]["about"] == "trial":
        step = decision.to
        made["to"] = "rolled_back" if step is None else step.stage
        made["share"] = step.share if step is not None and step.stage == "canary" else 0.0
    elif decision.action == "advance":
        made["to"] = "retired"
    return made


def _held(entry: Entry, before: _Before) -> dict[str, Json]:
    made = _asked(entry, before)
    if entry.body.get("question") is not None:
        decision = decide_again(entry.body["question"], entry.body["policy"], entry.body["evidence"])
        made["words"] = list(decision.words)
    return made


def _allowed(entry: Entry, before: _Before) -> dict[str, Json]:
    """That nothing held the step up; what it waited for, if the rules of now would have held it up."""
    made = _asked(entry, before)
    return {} if made["verdict"] == "pass" else {"waits_for": made["waits_for"]}


def _asked(entry: Entry, before: _Before) -> dict[str, Json]:
    body, (model, version) = entry.body, before.of(entry.subject)
    serving = body.get("serving")
    decision = may_go_forward(
        ControlPolicy.from_plain(body["control"]),
        model,
        version,
        to=body["to"],
        serving=None if serving is None else canonical_json(serving).decode(),
        by=entry.actor,
        now=entry.at,
    )
    return {"verdict": decision.verdict, "waits_for": list(decision.kinds), "reasons": decision.sentences}


def _text(value: Json) -> str:
    text = canonical_json(value).decode()
    return text if len(text) <= 200 else text[:197] + "..."


_MAKERS: Mapping[str, Callable[[Entry, _Before], dict[str, Json]]] = MappingProxyType(
    {"gate.decided": _gate, "retrain.decided": _retrain, "stage.changed": _moved, "rollout.held": _held}
)
"""By kind of fact: the fields of its body as they come out now."""
