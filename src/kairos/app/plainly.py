"""Any fact that decides something, in two sentences that need no statistics: what was found, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from kairos.app.story import DecisionLine
from kairos.app.telling import decision_line
from kairos.errors import KairosError
from kairos.gates.again import decide_again
from kairos.gates.case import GateCase
from kairos.gates.words import two_sentences
from kairos.ledger import Entry
from kairos.monitor.findings import Finding
from kairos.monitor.words import finding_words
from kairos.values import Json, Window, parse_moment

__all__ = ["gate_case", "plain_line", "plain_words"]

Words = tuple[str, str]


def plain_line(entry: Entry) -> DecisionLine:
    """The fact as one line, with its two sentences where it decides something."""
    return replace(decision_line(entry), words=plain_words(entry))


def plain_words(entry: Entry) -> Words | None:
    """What was found, and what follows from it.

    Made from the entry alone, so any decision of the past is told as well. ``None``: it decides nothing, or was written
    in a form that does not tell enough.
    """
    teller = _TELLERS.get(entry.kind)
    if teller is None:
        return None
    try:
        return teller(entry)
    except (KairosError, KeyError, TypeError, ValueError, AttributeError):  # an old or a foreign fact
        return None


def gate_case(entry: Entry) -> GateCase | None:
    """A gate's decision with all that it rests on; ``None`` if the entry is of the first format.

    Raises:
        UsageError: the entry holds no gate's decision.
    """
    again = decide_again(entry.body)
    if again.evidence is None:
        return None
    against = entry.body["against"]
    return GateCase(
        version=entry.subject, against=against, policy=again.policy, evidence=again.evidence, decision=again.decision
    )


def _gated(entry: Entry) -> Words | None:
    evidence = entry.body["evidence"]
    if evidence.get("format") == "refit":
        return _refitted(entry.subject, entry.body, evidence)
    case = gate_case(entry)
    return None if case is None else two_sentences(case)


def _refitted(subject: str, body: Json, evidence: Json) -> Words:
    twin, more = _short(evidence["twin"]), evidence["newest_days"]
    days = f"{more:.3g} more days" if more != 1 else "1 more day"
    first = f"{_short(subject).capitalize()} is {twin}, learnt once more with {days} of data."
    if body["verdict"] == "pass":
        return first, f"What was proven of {twin} holds for it, so it takes the way into production in its place."
    return first, f"It is not used: {_clause(body['sentence'])}."


def _moved(entry: Entry) -> Words:
    body, short = entry.body, _short(entry.subject)
    if body.get("words"):
        first, second = body["words"]
        return first, second
    because = "; ".join(body["reasons"]) or "no reason given"
    because = because.replace("passed its gate", "it passed its gate", 1) if because.startswith("passed") else because
    second = _AFTER.get(body["to"], "It meets no request any more.")
    if body.get("override"):
        where = "live" if body["to"] == "live" else f"to {_stage(body)}"
        return f"{entry.actor} brought {short} {where} past the rules: {_clause(body['override'])}.", second
    who = "" if body.get("verdict") is not None else f" by {entry.actor}"
    verb = _WENT.get(body["to"], f"came to {_stage(body)}")
    return f"{short.capitalize()} {verb}{who}: {_clause(because)}.", second


def _found(entry: Entry) -> Words:
    return finding_words(Finding.from_plain(entry.body))


def _retrain(entry: Entry) -> Words:
    body, window = entry.body, Window.parse(entry.body["window"])
    if body.get("action") == "investigate":
        first = f"A new version is asked for, but something may be broken: {'; '.join(body['facts']['faults'])}."
        return first, "Nothing is learnt from such data; once that is repaired, the loop goes on by itself."
    if body.get("action") == "wait":
        first = "A new version is asked for, but the data are the very ones that a version has learnt from already."
        return first, "Training again would give that version once more, so it waits for data that are new."
    origin = body.get("origin") or body["reasons"][0].partition(":")[0]
    why = _ORIGINS.get(origin, "there is reason to")
    days = f"data from {_day(window.start)} to {_day(window.end)}"
    if body.get("action") == "recalibrate":
        first = f"The answers of the live version are set right without learning anew, because {why}."
    else:
        more = len(body["reasons"]) - 1
        also = "" if more <= 0 else f", and for {more} more {'reason' if more == 1 else 'reasons'}"
        first = f"A new version is trained on {days}, because {why}{also}."
    return first, "It answers nobody before it has passed the gate and its trial, so nothing changes for users yet."


def _approved(entry: Entry) -> Words:
    body, short = entry.body, _short(entry.subject)
    if body["verdict"] == "pass":
        place = f" in place of {_short(body['against'])}" if body.get("against") else ""
        first = f"{entry.actor} approved {short}{place}: {_clause(body['reason'])}."
        return first, "It counts until another version goes live or its output and capture settings change."
    first = f"{entry.actor} refused {short}: {_clause(body['reason'])}."
    return first, f"It goes no further unless {entry.actor} approves it after all."


def _froze(entry: Entry) -> Words:
    until = entry.body["until"]
    end = f"until {_day(parse_moment(until))}" if until else "until somebody ends it"
    first = f"{entry.actor} froze {entry.subject} {end}: {_clause(entry.body['reason'])}."
    return first, "Nothing of it goes forward meanwhile; it can be taken back at any time."


def _unfroze(entry: Entry) -> Words:
    first = f"{entry.actor} ended the freeze of {entry.subject}: {_clause(entry.body['reason'])}."
    return first, "It goes forward again, unless the settings freeze it."


def _held(entry: Entry) -> Words:
    may = f"By its evidence {_short(entry.subject)} may come to {_stage(entry.body)}"
    return f"{may}, but something else is waited for.", " ".join(entry.body["reasons"])


def _rehearsed(entry: Entry) -> Words:
    body = entry.body
    short = _short(entry.subject)
    if body["verdict"] == "pass":
        first = f"Going to {short} and back was tried beside the traffic, and the way back works."
    else:
        first = f"Going to {short} and back was tried beside the traffic, and it is not safe."
    return first, f"{_clause('; '.join(body['reasons'])).capitalize()}."


def _failed(entry: Entry) -> Words:
    body = entry.body
    steps = " and ".join(repr(one["step"]) for one in (body["failure"], *body.get("also_failed", ())))
    second = "What was finished is kept, and what is live goes on."
    return f"A run stopped at {steps}, so no new version came of it.", second


def _short(subject: str) -> str:
    """``version 7``."""
    return f"version {subject.rpartition('@')[2]}" if "@" in subject else subject


def _stage(body: Json) -> str:
    if body["to"] == "canary":
        return f"{100 * body['share']:.3g} % of the requests"
    return str(body["to"].replace("_", " "))


def _clause(text: str) -> str:
    return text.strip().rstrip(".")


def _day(moment: object) -> str:
    return f"{moment:%-d %B %Y}"


_AFTER = {
    "shadow": "There it answers nobody, and shows what it would have answered.",
    "canary": "Harm takes it back as soon as it is proven.",
    "live": "It answers every request from now on, and is watched.",
    "rolled_back": "Users have the answers of the version before it again.",
    "rejected": "It never answered anybody, and what is live goes on.",
    "retired": "It answers nobody any more; it is kept, and can be brought back.",
}
_WENT = {"live": "went live", "rolled_back": "was taken back", "rejected": "was rejected", "retired": "was retired"}
_ORIGINS = {
    "finding": "the live version is proven to do worse than it may",
    "contract": "the data have another form than those that the live version learnt from",
    "regret": "not changing has cost more than a change is worth",
    "growth": "there are as many new rows as the live version learnt from",
    "age": "the live version has reached its age",
}
_TELLERS: Mapping[str, Callable[[Entry], Words | None]] = MappingProxyType(
    {
        "gate.decided": _gated,
        "stage.changed": _moved,
        "finding": _found,
        "retrain.decided": _retrain,
        "approval.decided": _approved,
        "freeze.begun": _froze,
        "freeze.ended": _unfroze,
        "rollout.held": _held,
        "rehearsal.done": _rehearsed,
        "run.failed": _failed,
    }
)
