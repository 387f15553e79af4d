"""A model's card: what a version is, what it is for, how good it is and where it is not, from what is on record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kairos.app.card_markdown import markdown_table, one_line
from kairos.app.card_parts import Section, Table, against_simple_models
from kairos.app.facts import run_entry
from kairos.app.judging import judged_before
from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.app.proving import form_told
from kairos.app.settings import ModelSettings
from kairos.app.settings.card import CardSettings
from kairos.app.telling import decision_line
from kairos.delivery.versions import VersionState
from kairos.experiments.baselines import beatings_of, is_baseline_metric
from kairos.experiments.spread import spreads_of
from kairos.gates.case import GateCase
from kairos.gates.screen import HEAD, table_rows
from kairos.gates.words import two_sentences
from kairos.ledger import Entry
from kairos.models.package import Package
from kairos.models.profile import STRONG
from kairos.models.signature import Column
from kairos.values import VersionRef, unplain

__all__ = ["Card", "Section", "Table", "make_card", "markdown"]

_LEVELS = 8
_PAIRS = 8
_UNTOLD = 'Nobody has said so yet: write `{key} = "…"` into [model.{model}.card] of kairos.toml.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that is known of a version, for somebody who has to decide whether to rely on it."""

    version: VersionRef
    sections: tuple[Section, ...]
    case: GateCase | None
    """Its last comparison; ``None``: it met no gate yet."""
    importances: dict[str, float]
    """How much it relies on each input, as shares of 1, the largest first."""


def make_card(project: Project, ref: VersionRef) -> Card:
    """Gathers what the ledger, the package and the settings say of a version.

    Raises:
        NotFound: there is no such version, or its run is not on record.
        PackageError: the package is damaged.
    """
    version = project.state().model(ref.model).version(ref.number)
    model = project.settings.model(ref.model)
    package = open_stored(project.store, version.package)
    run = run_entry(project, version.run)
    gates = list(project.ledger.read(kinds=["gate.decided"], subject=str(ref)))
    case = _case(project, gates[-1]) if gates else None
    return Card(
        version=ref,
        sections=(
            _summary(ref, version, package, model.card, form_told(project, version, package)),
            _use(ref.model, model.card),
            _quality(ref, case, gates, run),
            *against_simple_models(ref, run),
            _data(package, run, model),
            _inputs(package, model),
            _answers(package, model),
            _limits(package, model, case),
            _made(version, package, run),
            _history(project, ref),
        ),
        case=case,
        importances=dict(sorted(package.profile.importances.items(), key=lambda item: (-item[1], item[0]))),
    )


def markdown(card: Card) -> str:
    """The card as Markdown that stands alone."""
    lines = [f"# {card.version}"]
    for section in card.sections:
        lines += [
            "",
            f"## {section.title}",
            *(["", *(f"- {one_line(line)}" for line in section.lines)] if section.lines else []),
        ]
        if section.table is not None:
            lines += ["", *markdown_table(section.table)]
    return "\n".join(lines) + "\n"


def _case(project: Project, entry: Entry) -> GateCase | None:
    _, again = judged_before(project, entry.seq)
    if again.evidence is None:  # of an older format, which has no tables
        return None
    return GateCase(
        version=entry.subject,
        against=entry.body["against"],
        policy=again.policy,
        evidence=again.evidence,
        decision=again.decision,
    )


def _summary(ref: VersionRef, version: VersionState, package: Package, card: CardSettings, form: str) -> Section:
    spec = package.spec
    lines = [
        f"Predicts `{spec.target}`, judged by {spec.loss.replace('_', ' ')}.",
        f"Stage: {version.stage}. Registered {version.registered_at:%Y-%m-%d %H:%M} UTC by {version.registered_by}.",
        f"Package `{version.package}`; its form is {form}",
    ]
    if card.contact:
        lines.append(f"Questions: {card.contact}")
    return Section(title="What it is", lines=tuple(lines))


def _use(model: str, card: CardSettings) -> Section:
    lines = [card.use or _UNTOLD.format(key="use", model=model)]
    if card.not_for:
        lines.append(f"Not for: {card.not_for}")
    return Section(title="What it is for", lines=tuple(lines))


def _quality(ref: VersionRef, case: GateCase | None, gates: Sequence[Entry], run: Entry) -> Section:
    title = "How good it is"
    metrics = unplain(run.body.get("metrics", {}))
    own = {name: value for name, value in metrics.items() if name.partition(".")[0] == ref.model}
    if case is not None:
        head = [case.version if at == 1 else text for at, text in enumerate(HEAD)]
        head[0], head[2] = "metric", case.against or "simple baseline"
        finding, follows = two_sentences(case)
        told = f"Ledger entry {gates[-1].seq}; `kairos gate --replay {gates[-1].seq}` makes the comparison again."
        rows = tuple(tuple(cells) for cells in table_rows(case, every_slice=True))
        table = Table(head=tuple(head), rows=rows, pictures=(len(head) - 2,))
        return Section(title=title, lines=(finding, follows, *_seeds(own), told), table=table)
    found = beatings_of(run.body).get(ref.model)
    lines = [f"It met no gate yet, so this is the mean on the rows that its run held out: type `kairos gate {ref}`."]
    for name, value in sorted(spreads_of(own)[0].items()):
        if not is_baseline_metric(name):
            loss = name.partition(".")[2]
            is_whole = found is not None and loss == found.loss
            lines.append(f"{loss.replace('_', ' ')}: {found.own_sentence if found and is_whole else f'{value:.4g}'}")
    return Section(title=title, lines=(*lines, *_seeds(own)))


def _seeds(metrics: Mapping[str, float]) -> Iterator[str]:
    """What other seeds than the version's own gave."""
    for name, spread in spreads_of(metrics)[1].items():
        loss = name.partition(".")[2].replace("_", " ")
        if spread.sd is None:
            yield f"All {spread.seeds} seeds gave the same {loss}, so they tell nothing of chance."
        else:
            yield (
                f"Trained with {spread.seeds} seeds, of which this is the first, its {loss} was {spread.mean:.4g} on "
                f"average, with a standard deviation of {spread.sd:.2g}."
            )


def _data(package: Package, run: Entry, model: ModelSettings) -> Section:
    spec = package.spec
    lines = [f"{spec.train_rows:,} rows of training, from data of {run.body['window']}."]
    if spec.train_until is not None:
        lines.append(f"The latest is of {spec.train_until:%Y-%m-%d %H:%M} UTC.")
    lines.append(model.card.data or _UNTOLD.format(key="data", model=model.name))
    lines.append(f"Licence of the data: {model.card.licence or 'not told'}.")
    named = {name: digest for step in run.body["steps"] for name, digest in step["inputs"].items()}
    made = {output["name"] for step in run.body["steps"] for output in step["outputs"]}
    rows = tuple((name, str(digest)) for name, digest in sorted(named.items()) if name not in made)
    return Section(title="Data", lines=tuple(lines), table=Table(head=("file", "digest"), rows=rows) if rows else None)


def _inputs(package: Package, model: ModelSettings) -> Section:
    hidden = set(model.privacy.pseudonymise)
    importances = package.profile.importances
    rows = []
    for column in package.spec.signature.columns:
        told = column.told(is_hidden=column.name in hidden)
        profile = package.profile.columns[column.name]
        share = importances.get(column.name)
        missing = profile.missing / max(package.profile.rows, 1)
        rows.append(
            (
                column.name,
                column.words,
                _values(told),
                f"{missing:.1%}",
                "" if share is None else f"{share:.0%}",
                f"{package.profile.target_correlations[column.name]:+.2f}"
                if column.name in package.profile.target_correlations
                else "",
            )
        )
    head = ("column", "kind", "values in training", "missing", "relied on", "with the target")
    return Section(title="What it takes", lines=tuple(_pairs(package)), table=Table(head=head, rows=tuple(rows)))


def _pairs(package: Package) -> Iterator[str]:
    """Inputs that tell the same: what the model relies on may be in either."""
    found = package.profile.correlations
    if found:
        told = ", ".join(f"{each.one} and {each.other} ({each.r:+.2f})" for each in found[:_PAIRS])
        more = f", and {len(found) - _PAIRS} pairs more" if len(found) > _PAIRS else ""
        yield f"Inputs that go together, by rank correlation, of {STRONG:g} or more either way: {told}{more}."


def _values(column: Column) -> str:
    if column.levels:
        more = len(column.levels) - _LEVELS
        return ", ".join(column.levels[:_LEVELS]) + (f" and {more} more" if more > 0 else "")
    if column.lower is not None and column.upper is not None:
        return f"{column.lower:.6g} to {column.upper:.6g}"
    return ""


def _answers(package: Package, model: ModelSettings) -> Section:
    guard = model.output
    outputs = package.spec.signature.outputs
    names = [f"`{name}`" for output in outputs for name, _ in output.fields]
    lines = [f"It answers with {', '.join(names) or 'one number'}."]
    is_class = bool(outputs) and all(output.kind == "class" for output in outputs)
    if guard.lower is None and guard.upper is None:
        lines += [] if is_class else ["No range is set for what may leave the server."]
    else:
        ends = " to ".join("any" if end is None else f"{end:g}" for end in (guard.lower, guard.upper))
        lines.append(f"What leaves the server is {ends}; on anything else: {guard.on_violation}.")
    prediction = package.profile.prediction
    if prediction.quantiles and not is_class:  # a class's place is no amount
        low, high = prediction.quantiles[0], prediction.quantiles[-1]
        of = {"train": "rows of training", "holdout": "holdout"}.get(package.profile.prediction_on, "rows")
        lines.append(f"On the {of} its answers went from {low:.4g} to {high:.4g}.")
    losses = package.profile.losses
    if losses is not None and losses.sketch.rows:
        half, most = losses.sketch.quantile(0.5), losses.sketch.quantile(0.9)
        of = "rows of training" if losses.on == "train" else "holdout"
        lines.append(f"On the {of} half of its losses were up to {half:.3g}, nine tenths up to {most:.3g}.")
    return Section(title="What it answers", lines=tuple(lines))


def _limits(package: Package, model: ModelSettings, case: GateCase | None) -> Section:
    lines = list(model.card.limits)
    closed = [
        column.name
        for column in package.spec.signature.columns
        if column.kind == "category" and not column.open_levels and not column.rare_levels
    ]
    if closed:
        lines.append(f"It refuses levels that training did not hold, of {', '.join(closed)}.")
    if case is not None:
        lines += [f"{line.about}: {line.sentence}" for line in case.decision.lines if line.state in ("harm", "open")]
    lines.append("Outside of the values in training it was never tried.")
    if not model.card.limits:
        lines.append(_UNTOLD.format(key="limits", model=model.name).replace('"…"', '["…"]'))
    return Section(title="Limits", lines=tuple(lines))


def _made(version: VersionState, package: Package, run: Entry) -> Section:
    code = run.body.get("code") or {}
    commit = code.get("commit") or "none: not under version control"
    dirty = ", with changes that were not committed" if code.get("dirty_digest") else ""
    at = f"{run.at:%Y-%m-%d %H:%M} UTC"
    params = ", ".join(f"{name} = {value!r}" for name, value in sorted(package.spec.params.items()))
    lines = [
        f"Run {version.run}, {at}, commit {commit}{dirty}; `kairos rebuild {version.ref}` makes it again.",
        f"Params: {params or 'none'}",
        "Libraries: " + ", ".join(f"{name} {number}" for name, number in sorted(package.spec.libraries.items())),
    ]
    return Section(title="How it was made", lines=tuple(lines))


def _history(project: Project, ref: VersionRef) -> Section:
    kinds = ("gate.decided", "stage.changed", "approval.decided")
    rows = []
    for entry in project.ledger.read(kinds=kinds, subject=str(ref)):
        line = decision_line(entry)
        rows.append(
            (f"{entry.at:%Y-%m-%d %H:%M}", line.kind, line.verdict or line.stage or "", line.sentence, entry.actor)
        )
    head = ("at", "what", "", "why", "by")
    if not rows:
        return Section(title="What became of it", lines=("Nothing was decided about it yet.",))
    return Section(title="What became of it", table=Table(head=head, rows=tuple(rows)))
