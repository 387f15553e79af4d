"""``[model.NAME.delivery]``."""

from __future__ import annotations

from functools import partial

from kairos.app.settings.margins import read_margin, read_share
from kairos.app.toml import Reader
from kairos.delivery.rollout import EventRule, GuardRule, RolloutPolicy, StageStep, ValueRule
from kairos.errors import SettingsError, did_you_mean
from kairos.gates.policy import Margin

__all__ = ["read_delivery"]


def read_delivery(reader: Reader) -> RolloutPolicy:
    """How much proof a challenger owes in production."""
    default = RolloutPolicy()
    stages = reader.texts("stages")
    margin = read_margin(reader, "harm_margin", Margin(kind="relative", value=default.harm_margin))
    if margin.kind != "relative":
        raise SettingsError(f"{reader.name('harm_margin')} is a share of the champion's loss.", accepted="such as '1%'")
    policy = RolloutPolicy(
        stages=tuple(reader.parsed("stages", StageStep.parse, s) for s in stages) or default.stages,
        alpha=read_share(reader, "alpha", default.alpha),
        harm_margin=margin.value,
        min_pairs=reader.whole("min_pairs", default.min_pairs),
        min_canary_requests=reader.whole("min_canary_requests", 0) if reader.has("min_canary_requests") else None,
        min_dwell=reader.length("min_dwell", default.max_wait) if reader.has("min_dwell") else None,
        max_wait=reader.length("max_wait", default.max_wait),
        bake=reader.length("bake", default.bake),
        guards=tuple(reader.parsed("guards", GuardRule.parse, text) for text in reader.texts("guards")),
        critical=reader.texts("critical", default.critical),
        tolerance=reader.number("tolerance", default.tolerance),
        cap=read_share(reader, "cap", default.cap),
        bad_answers=reader.number("bad_answers", default.bad_answers),
        events=_events(reader),
        values=tuple(_value(name, table) for name, table in reader.tables("values").items()),
        timeout=reader.length("timeout", default.timeout),
    )
    reader.done()
    _check_critical(reader, policy)
    return policy


def _events(reader: Reader) -> tuple[EventRule, ...]:
    found = reader.raw("events", {})
    if not isinstance(found, dict):
        raise SettingsError(f"{reader.name('events')} is no table.", given=found, accepted='such as {complaint = "2%"}')
    return tuple(reader.parsed("events", partial(EventRule.parse, name), usual) for name, usual in found.items())


def _value(name: str, reader: Reader) -> ValueRule:
    ends = reader.numbers("range")
    if ends is not None and len(ends) != 2:
        raise SettingsError(f"{reader.name('range')} is no range.", given=list(ends), accepted="such as [0, 500]")
    better = reader.choice("better", ("higher", "lower"), "higher")
    margin = reader.optional_number("margin")
    reader.done()

    def rule(written: str) -> ValueRule:
        return ValueRule(
            name=written,
            better="lower" if better == "lower" else "higher",
            range=None if ends is None else (ends[0], ends[1]),
            margin=margin,
        )

    return reader.parsed("range" if ends is not None else "margin", rule, name)


def _check_critical(reader: Reader, policy: RolloutPolicy) -> None:
    known = ("loss", "errors", "impossible", "timeouts", "slow_p95", "slow_p99", *(rule.text for rule in policy.guards))
    known = (*known, *(event.kind for event in policy.events), *(rule.kind for rule in policy.values))
    for name in policy.critical:
        if name not in known:
            raise SettingsError(
                f"{reader.name('critical')} names an unknown guard.",
                given=name,
                accepted=", ".join(known),
                hint=did_you_mean(name, known),
            )
