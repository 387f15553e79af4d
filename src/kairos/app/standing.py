"""The settings that a version is deployed with: written down at each deployment, compared, and put into words."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kairos.app.facts import run_entry
from kairos.app.project import Project
from kairos.delivery.versions import Live, VersionState
from kairos.errors import NotFound
from kairos.values import Json, canonical_json, plain

__all__ = ["differences", "restored", "serving_now", "settings_changes", "settings_now", "settings_of", "unapplied"]

_FORMAT = "1"


def settings_now(project: Project, model: str) -> dict[str, Json]:
    """What a fact says of the settings in ``kairos.toml``: the name of all of them, and the part a server keeps to.

    The whole is put into the store under that name.

    Raises:
        NotFound: the project has no such model.
    """
    whole = {"format": _FORMAT, **plain(project.settings.model(model))}
    if not whole["targets"]:
        del whole["targets"]  # so that settings which never named several are told as they always were
    if not whole["output"]["each"]:
        del whole["output"]["each"]
    return {"settings": project.store.put_bytes(canonical_json(whole)), "serving": serving_now(project, model)}


def serving_now(project: Project, model: str) -> Json:
    """The part of ``kairos.toml`` that a server keeps to.

    Raises:
        NotFound: the project has no such model.
    """
    from kairos.app.settings.serving import ServingSettings  # loads numpy, which most commands do without

    return ServingSettings.of(project.settings.model(model)).plain()


def settings_of(live: Live) -> dict[str, Json]:
    """What a fact says of the settings that a version was deployed with before."""
    return {"settings": live.settings, "serving": None if live.serving is None else json.loads(live.serving)}


def restored(project: Project, former: VersionState, live: Live) -> dict[str, Json]:
    """What comes back in a rollback: the model, the settings it is served with, and what it was made with and by."""
    made: dict[str, Json] = {"code": None, "libraries": None}
    try:
        run = run_entry(project, former.run).body
        made = {"code": run["code"], "libraries": run["libraries"]}
    except NotFound:  # a rollback needs none of it
        pass
    return {"package": live.package, "run": former.run, **made, **settings_of(live)}


def differences(live: Live, now: Json) -> list[str]:
    """How serving settings differ from those of a deployment, such as ``output.upper was 5000 and is 6000``.

    Of a deployment that does not tell its settings, nothing but that is known.
    """
    then = settings_of(live)["serving"]
    return ["they were not recorded before"] if then is None else settings_changes(then, now)


def settings_changes(then: Json, now: Json) -> list[str]:
    """How serving settings differ from earlier ones, as the facts of two deployments tell them."""
    before, after = _flat(then), _flat(now)
    return [
        f"{name} was {_word(before.get(name))} and is {_word(after.get(name))}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def unapplied(project: Project) -> dict[str, str]:
    """Of each model that is not served as ``kairos.toml`` says now: how it differs and what to type, in a sentence."""
    found: dict[str, str] = {}
    for name, model in sorted(project.state().models.items()):
        if model.champion is None or model.champion.serving is None or name not in project.settings.models:
            continue
        changes = differences(model.champion.live, serving_now(project, name))
        if changes:
            ref = model.champion.ref
            found[name] = (
                f"{ref} is served as it was deployed, and kairos.toml says otherwise: {'; '.join(changes)}. "
                f"To apply it: kairos deploy {ref}"
            )
    return found


def _flat(value: Mapping[str, Json]) -> dict[str, Json]:
    return {f"{part}.{key}": one for part, inner in value.items() for key, one in inner.items()}


def _word(value: Json) -> str:
    return "not set" if value is None else value if isinstance(value, str) else json.dumps(value)
