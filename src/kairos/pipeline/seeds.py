"""One run with several seeds: what another seed makes anew, while all else is as the run gave it.

A run's first seed is each step's own. The others are for steps that ask for chance: models, and steps with a seed. What
reads what these give is made anew as well; everything else, all data among it, is taken from the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace

from kairos.pipeline.cache import Known
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.plan import Setting
from kairos.pipeline.result import RunResult, StepResult
from kairos.pipeline.setup import Setup
from kairos.values import canonical_json

__all__ = ["behind", "made_anew", "seeds_of", "with_seed"]


def seeds_of(own: int, count: int) -> list[int]:
    """So many seeds, all different: a step's own, and others that follow from it alone.

    The others are in [0, 2**31), which every library takes.

    >>> seeds_of(7, 3)
    [7, 421532096, 1567257600]
    """
    found, nth = {own: None}, 0
    while len(found) < count:
        nth += 1
        digest = hashlib.sha256(canonical_json(["seed", own, nth])).digest()
        found.setdefault(int.from_bytes(digest[:4]) >> 1)
    return list(found)


def made_anew(settings: Mapping[str, Setting]) -> frozenset[str]:
    """Steps that another seed makes anew: those that ask for chance, and all that read what these give.

    Args:
        settings: Of a run, in an order in which its steps can run.
    """
    found = set[str]()
    for name, setting in settings.items():
        if setting.node.spec.varies or setting.node.upstream & found:
            found.add(name)
    return frozenset(found)


def behind(settings: Mapping[str, Setting], steps: Collection[str]) -> frozenset[str]:
    """These steps, as far as they are there, and all that they read."""
    found, wanted = set[str](), [*steps]
    while wanted:
        name = wanted.pop()
        if name in settings and name not in found:
            found.add(name)
            wanted += sorted(settings[name].node.upstream)
    return frozenset(found)


def with_seed(setup: Setup, first: RunResult, nth: int, *, steps: Collection[str]) -> Setup:
    """What makes some steps of a run with the ``nth`` of its other seeds.

    Args:
        setup: Of the run.
        first: What came of it, with its own seeds.
        nth: From 1 on.
        steps: Whose results are wanted.
    """
    anew = made_anew(setup.settings)
    needed, wanted = set[str](), [*steps]
    while wanted:
        name = wanted.pop()
        if name not in needed:
            needed.add(name)
            wanted += sorted(setup.settings[name].node.upstream) if name in anew else []
    needed |= {each.partition(".")[0] for name in needed & anew for each in setup.also(setup.settings[name])}
    return replace(
        setup,
        settings={name: _reseeded(setting, nth) for name, setting in setup.settings.items() if name in needed},
        given={one.step: _given(setup, one) for one in first.steps if one.step in needed - anew},
        force=setup.force & anew,
        nth_seed=nth,
    )


def _given(setup: Setup, step: StepResult) -> tuple[Fingerprint, Known]:
    return setup.cache.parts(step.fingerprint) or Fingerprint(step=step.step), Known(tuple(step.outputs), None)


def _reseeded(setting: Setting, nth: int) -> Setting:
    if not setting.node.spec.varies:
        return setting
    return replace(setting, seed=seeds_of(setting.seed, nth + 1)[nth])
