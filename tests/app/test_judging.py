"""A verdict rests on rows that neither model has seen, and the fact holds all that it takes to decide again."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from kairos.app.judging import judge, judged_before
from kairos.app.watching import Watch
from kairos.errors import DataRefused, NotFound, SettingsError, UsageError
from kairos.gates.decide import decide
from kairos.gates.evidence import GateEvidence, PackageCost
from kairos.gates.policy import GatePolicy
from kairos.store.tables import write_table
from kairos.values import VersionRef, parse_duration
from tests.app.worlds import DAY, SETTINGS, START, Stock, World, hourly


def test_the_first_version_is_compared_with_a_simple_baseline(world: World) -> None:
    """With the median of what it was trained on: better passes, worse fails."""
    good, bad = world.register(200.0), world.register(260.0)
    passed, failed = judge(world.project, good), judge(world.project, bad)
    assert (passed.decision.verdict, passed.against, passed.evidence.baseline) == ("pass", None, "simple baseline")
    assert failed.decision.verdict == "fail"
    assert world.model().version(1).verdict == "pass"
    assert world.model().version(2).verdict == "fail"


def test_a_version_is_compared_with_the_champion(world: World) -> None:
    """Better passes, worse fails, and what cannot be told apart holds."""
    champion = world.live(205.0)
    same, bad = world.register(205.0), world.register(260.0)
    assert judge(world.project, same).decision.verdict == "hold"
    judged = judge(world.project, bad)
    assert (judged.decision.verdict, judged.against) == ("fail", champion)
    assert world.facts("gate.decided")[-1].body["against"] == "demand@1"
    bad_champion = world.live(260.0)
    assert bad_champion.number == 4
    assert judge(world.project, same).decision.verdict == "pass"


def test_the_champion_is_not_compared_with_itself(world: World) -> None:
    """But with the simple baseline, as it was when nothing was live."""
    judged = judge(world.project, world.live(200.0))
    assert (judged.against, judged.evidence.baseline) == (None, "simple baseline")


def test_what_is_asked_for_depends_on_why_a_version_was_made(world: World) -> None:
    """An equal model is no reason to change, but good enough for a refresh."""
    world.live(205.0)
    same = world.register(205.0)
    assert judge(world.project, same).decision.verdict == "hold"
    refresh = judge(world.project, same, require="non_inferior")
    assert (refresh.decision.verdict, refresh.policy.require) == ("pass", "non_inferior")


def test_too_few_rows_hold_and_say_how_many_are_missing(world: World) -> None:
    """Never a pass, never a zero."""
    world.live(205.0)
    judged = judge(world.project, world.register(200.0, holdout=world.stock.few))
    assert judged.decision.verdict == "hold"
    assert judged.decision.needed_rows == 52
    assert world.facts("gate.decided")[-1].body["needed_rows"] == 52


def test_rows_that_a_model_was_trained_on_do_not_count(world: World) -> None:
    """A holdout that reaches back into the training is cut to what is fresh."""
    old = hourly(START - 42 * DAY, 28, level=230.0)
    fresh = hourly(START - 14 * DAY, 14, seed=1)
    digest = write_table(world.project.store, pl.concat([old, fresh]).sample(fraction=1.0, shuffle=True, seed=3))
    judged = judge(world.project, world.register(200.0, holdout=digest))
    assert judged.evidence.overall.n == len(fresh) == judge(world.project, world.register(200.0)).evidence.overall.n
    assert judged.evidence.rows_digest == digest
    assert judged.evidence.oldest == f"{START - 14 * DAY:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "text"])
def test_freshness_does_not_depend_on_how_the_time_is_written(world: World, zone: str | None) -> None:
    """Without a zone, in any zone, or as text: the same moments are the same rows."""
    table = hourly(START - 16 * DAY, 16, seed=1)
    hour = {
        None: pl.col("hour").dt.replace_time_zone(None),
        "UTC": pl.col("hour"),
        "Europe/Berlin": pl.col("hour").dt.convert_time_zone("Europe/Berlin"),
        "text": pl.col("hour").dt.strftime("%Y-%m-%dT%H:%M:%S"),
    }[zone]
    digest = write_table(world.project.store, table.with_columns(hour))
    judged = judge(world.project, world.register(200.0, holdout=digest))
    assert judged.evidence.overall.n == 14 * 24


def test_rows_without_a_truth_do_not_count(world: World) -> None:
    """They are no zero either."""
    truth = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("users"))
    table = hourly(START - 14 * DAY, 14, seed=1).with_columns(users=truth)
    judged = judge(world.project, world.register(200.0, holdout=write_table(world.project.store, table)))
    assert judged.evidence.overall.n == 7 * 24


def test_a_holdout_without_the_target_is_refused(world: World) -> None:
    """It names both; no verdict is written."""
    digest = write_table(world.project.store, hourly(START - 14 * DAY, 14).drop("users"))
    ref = world.register(200.0, holdout=digest)
    with pytest.raises(DataRefused, match=r"'split\.holdout' lacks the target 'users'"):
        judge(world.project, ref)
    assert world.facts("gate.decided") == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ('time = "huor"', r"model\.demand\.time .*'split\.holdout'.*Given: huor\. .*Did you mean 'hour'"),
        ('time = "hour"\nentity = "stations"', r"model\.demand\.entity .*Accepted: hour, temperature, users"),
        ('time = "hour"\nslices = ["temprature"]', r"model\.demand\.slices .*Did you mean 'temperature'"),
        ('time = "hour"\ngate.protected = ["half=am"]', r"model\.demand\.gate\.protected .*Given: half=am\."),
        ('time = "hour"\ngate.groups = ["half"]', r"model\.demand\.gate\.groups .*Given: half\."),
    ],
)
def test_settings_that_name_no_column_of_the_holdout_are_refused(
    tmp_path: Path, stock: Stock, wrong: str, complaint: str
) -> None:
    """For a version that was registered before they did; no verdict is written."""
    world = World(tmp_path / "toy", stock, SETTINGS.replace('time = "hour"', wrong))
    ref = world.register(200.0)
    with pytest.raises(SettingsError, match=complaint):
        judge(world.project, ref)
    assert world.facts("gate.decided") == []


def test_the_loss_is_that_of_what_would_leave_the_server(tmp_path: Path, stock: Stock) -> None:
    """Where the guard clips, a model that says 260 says 210, and users suffer no more than that."""
    world = World(tmp_path / "toy", stock, SETTINGS + "\n[model.demand.output]\nrange = [0, 210]\n")
    bad = judge(world.project, world.register(260.0))
    assert bad.decision.verdict == "pass"
    assert bad.evidence.overall.challenger < 25.0


def test_a_version_that_is_not_there_is_named(world: World) -> None:
    """And nothing is written."""
    world.register()
    head = world.project.ledger.head()
    with pytest.raises(NotFound, match="no version demand@9"):
        judge(world.project, VersionRef("demand", 9))
    assert world.project.ledger.head() == head


def test_a_decision_can_be_made_again_from_its_fact(tmp_path: Path, stock: Stock) -> None:
    """Policy and evidence are in the ledger; deciding on them gives the same verdict, in the same words."""
    settings = SETTINGS.replace('time = "hour"', 'time = "hour"\nslices = ["half"]')
    world = World(tmp_path / "toy", stock, settings)
    half = pl.when(pl.col("hour").dt.hour() < 12).then(pl.lit("morning")).otherwise(pl.lit("evening"))
    digest = write_table(world.project.store, hourly(START - 14 * DAY, 14, seed=1).with_columns(half=half))
    for level in (200.0, 205.0, 260.0):
        judge(world.project, world.register(level, holdout=digest))
    world.clock.move_to(START + timedelta(days=100))
    for entry in world.facts("gate.decided"):
        policy, evidence = (
            GatePolicy.from_plain(entry.body["policy"]),
            GateEvidence.from_plain(entry.body["evidence"]),
        )
        again = decide(policy, evidence)
        assert set(evidence.slices) == {"half=morning", "half=evening"}
        assert (again.verdict, again.sentence) == (entry.body["verdict"], entry.body["sentence"])
        assert (list(again.reasons), again.needed_rows) == (entry.body["reasons"], entry.body["needed_rows"])


def test_a_champion_that_takes_a_column_which_is_gone_makes_the_gate_hold(world: World) -> None:
    """The two cannot be asked about the same rows; that is no error, and the sentence names the column."""
    world.live(200.0)
    renamed = hourly(START - 14 * DAY, 14, seed=1).rename({"temperature": "warmth"})
    package = Stock.package(world.project.store, world.root / "other", 260.0, rename={"temperature": "warmth"})
    ref = world.register(260.0, holdout=write_table(world.project.store, renamed), package=package)
    judged = judge(world.project, ref)
    assert judged.decision.verdict == "hold"
    assert "demand@1 takes the column 'temperature', which the holdout lacks" in judged.decision.sentence
    assert decide(judged.policy, GateEvidence.from_plain(judged.entry.body["evidence"])) == judged.decision


def test_versions_judged_on_the_same_rows_share_alpha(world: World) -> None:
    """The second and the third are told which they are; the same one judged again is not another."""
    refs = [world.register(level) for level in (205.0, 200.0, 260.0)]
    judged = [judge(world.project, ref) for ref in (*refs, refs[1])]
    assert [one.evidence.rank for one in judged] == [1, 2, 3, 2]
    assert any("second version judged on these rows" in reason for reason in judged[1].decision.reasons)
    fresh = write_table(world.project.store, hourly(START - 14 * DAY, 14, seed=2))
    assert judge(world.project, world.register(200.0, holdout=fresh)).evidence.rank == 1


def test_missing_rows_have_a_day_on_which_labelled_traffic_will_have_brought_them(world: World) -> None:
    """Live traffic of 24 answers a day counts; before there is any, the rows of the holdout do."""
    champion = world.live(205.0)
    waiting = world.register(205.0, holdout=world.stock.few)
    early = judge(world.project, waiting)
    assert early.evidence.rows_per_day == pytest.approx(24.0)
    assert early.decision.needed_rows == 52
    assert early.decision.ready_on == f"{START - timedelta(hours=1) + timedelta(days=math.ceil(52 / 24 + 1)):%Y-%m-%d}"
    for _ in range(4):
        world.day((champion, 205.0))
    judged = judge(world.project, world.register(205.0, holdout=world.stock.few))
    assert judged.evidence.rows_per_day == pytest.approx(24.0, rel=0.05)
    assert judged.evidence.label_delay_days == 1.0
    assert judged.evidence.rows_per_day is not None
    assert judged.decision.needed_rows is not None
    days = math.ceil(judged.decision.needed_rows / judged.evidence.rows_per_day + 1.0)
    assert START - timedelta(hours=1) + timedelta(days=days) < world.clock.now()
    assert judged.decision.ready_on == f"{world.clock.now():%Y-%m-%d}"  # there already, in newer rows
    assert judged.entry.body["ready_on"] == judged.decision.ready_on


@pytest.mark.parametrize("form", ["text", "date", "text without a name"])
def test_times_in_any_form_name_the_day(tmp_path: Path, stock: Stock, form: str) -> None:
    """Dates, or text; and text that is all times counts as the time of the rows where the settings name none."""
    settings = SETTINGS.replace('time = "hour"\n', "") if form == "text without a name" else SETTINGS
    world = World(tmp_path / "toy", stock, settings)
    rows = hourly(START - 2 * DAY, 2, seed=1)
    said = pl.col("hour").dt.date() if form == "date" else pl.col("hour").dt.strftime("%Y-%m-%dT%H:%MZ")
    few = write_table(world.project.store, rows.with_columns(said.alias("hour")))
    judged = judge(world.project, world.register(205.0, holdout=few))
    assert judged.decision.verdict == "hold"
    assert judged.evidence.freshest == ("2012-01-01T00:00:00Z" if form == "date" else "2012-01-01T23:00:00Z")
    assert judged.decision.ready_on is not None


def test_how_late_labels_are_is_learnt_where_nobody_says_it(tmp_path: Path, stock: Stock) -> None:
    """The day on which missing rows are there follows what the labels that came have shown."""
    settings = SETTINGS.replace('label_delay = "1d"\n', "")
    world = World(tmp_path / "toy", stock, settings)
    ref = world.live(205.0)
    watch = Watch(world.project, world.project.settings.model("demand"))
    for _ in range(12):
        world.day((ref, 205.0))
        watch.look()
    [learnt] = world.facts("maturity.learnt")
    judged = judge(world.project, world.register(205.0, holdout=world.stock.few))
    assert judged.evidence.label_delay_days == parse_duration(learnt.body["matures_after"]) / DAY > 0


CHECKS = """\
from kairos import invariant, monotone


def test_the_answer_is_plausible(predict, rows):
    assert predict(rows).max() < LIMIT, "too many users"


def test_heat_does_not_matter(predict, rows):
    invariant(predict, rows, "temperature")


def helper():
    raise AssertionError


def test_rows_are_there(rows):
    assert len(rows) == 336
"""


@pytest.mark.parametrize(
    ("text", "verdict", "sentence"),
    [
        (CHECKS.replace("LIMIT", "250"), "pass", "pass: better"),
        (CHECKS.replace("LIMIT", "150"), "fail", "the check test_the_answer_is_plausible failed: too many users"),
        (CHECKS, "hold", "could not be carried out: NameError: name 'LIMIT' is not defined (checks.py, line 5: "),
        ("def test_x(client): ...", "hold", "the check test_x could not be carried out: it asks for 'client'"),
        ("def f(: ...", "hold", "checks.py cannot be loaded"),
        ("x = 1", "hold", "checks.py has no function that begins with test_"),
        (None, "hold", "there is no file checks.py"),
    ],
    ids=["pass", "fail", "name", "parameter", "syntax", "none", "no file"],
)
def test_checks_of_the_project_are_carried_out(
    tmp_path: Path, stock: Stock, text: str | None, verdict: str, sentence: str
) -> None:
    """A failed check fails the version; what is wrong with the checks themselves makes the gate hold and says what."""
    world = World(tmp_path / "toy", stock, SETTINGS + '\n[model.demand.gate]\nchecks = "checks.py"\n')
    if text is not None:
        (world.root / "checks.py").write_text(text)
    judged = judge(world.project, world.register(200.0))
    assert judged.decision.verdict == verdict
    assert sentence in judged.decision.sentence
    assert str(world.root) not in str(judged.entry.body)


def test_a_check_that_fails_names_the_rows(tmp_path: Path, stock: Stock) -> None:
    """Those that a helper found are in the fact."""
    world = World(tmp_path / "toy", stock, SETTINGS + '\n[model.demand.gate]\nchecks = "checks.py"\n')
    check = "from kairos import directional\n\ndef test_x(predict, rows):\n"
    change = 'directional(lambda t: t["temperature"].to_numpy(), rows, {"temperature": 0.0}, direction="up")'
    (world.root / "checks.py").write_text(check + "    " + change)
    judged = judge(world.project, world.register(200.0))
    assert judged.evidence.checks[0].rows[:2] == (0, 1)
    assert "row 0: answer from" in judged.decision.sentence


def test_a_metric_of_the_project_is_judged_like_any_other(tmp_path: Path, stock: Stock) -> None:
    """By the name that the settings give it; a function that is not there is a mistake in the settings."""
    settings = SETTINGS + (
        '\n[model.demand.gate]\nmetric = "tail"\n[model.demand.gate.functions]\n'
        'tail = { function = "metrics.py:tail", better = "lower" }\n[model.demand.gate.metrics]\nrmse = "5%"\n'
    )
    world = World(tmp_path / "toy", stock, settings)
    (world.root / "metrics.py").write_text(
        "import numpy as np\n\ndef tail(truth, prediction):\n    return np.quantile(np.abs(truth - prediction), 0.9)\n"
    )
    judged = judge(world.project, world.register(200.0))
    assert (judged.decision.verdict, judged.evidence.primary) == ("pass", "tail")
    assert set(judged.evidence.metrics) == {"tail", "rmse"}
    (world.root / "metrics.py").write_text("def other(truth, prediction): ...\n")
    with pytest.raises(SettingsError, match=r"metrics\.py has no function for the metric 'tail'"):
        judge(world.project, world.register(205.0))
    (world.root / "metrics.py").unlink()
    with pytest.raises(SettingsError, match="no file for the metric 'tail'"):
        judge(world.project, world.register(205.0))


def test_what_a_stopwatch_says_enters_a_fact_only_where_a_limit_rests_on_it(tmp_path: Path, stock: Stock) -> None:
    """So that the same past gives the same ledger."""
    world = World(tmp_path / "plain", stock)
    judged = judge(world.project, world.register(200.0), time_it=True)
    assert judged.cost is not None
    assert judged.cost.size_bytes is not None
    assert judged.cost.size_bytes > 1000
    assert judged.cost.one_row_ms is not None
    assert judged.cost.batch_ms is not None
    assert 0 < judged.cost.one_row_ms < 1000
    assert judged.evidence.cost is None
    strict = World(tmp_path / "strict", stock, SETTINGS + "\n[model.demand.gate]\nmax_size_mb = 0.001\n")
    judged = judge(strict.project, strict.register(200.0))
    assert (judged.decision.verdict, judged.evidence.cost) == (
        "fail", PackageCost(size_bytes=judged.evidence.cost.size_bytes if judged.evidence.cost else 0),
    )  # fmt: skip
    quick = World(tmp_path / "quick", stock, SETTINGS + "\n[model.demand.gate]\nmax_latency_ms = 1000\n")
    judged = judge(quick.project, quick.register(200.0))
    assert judged.evidence.cost is not None
    assert judged.evidence.cost.one_row_ms is not None
    assert judged.decision.verdict == "pass"


def test_a_lone_column_of_times_is_taken_as_the_moments_of_the_rows(tmp_path: Path, stock: Stock) -> None:
    """Although the settings name none: it can only make the gate more careful."""
    world = World(tmp_path / "toy", stock, SETTINGS.replace('time = "hour"\n', ""))
    judged = judge(world.project, world.register(200.0))
    assert judged.evidence.overall.dependence == "times"
    assert judged.evidence.oldest == f"{START - 14 * DAY:%Y-%m-%dT%H:%M:%SZ}"


def test_a_column_of_names_whose_rows_are_alike_is_told(world: World) -> None:
    """Nobody declared it as the entity, so the gate does not reckon with it; it says so."""
    table = hourly(START - 14 * DAY, 14, seed=1)
    station = pl.int_range(pl.len()) % 12
    lasting = (pl.int_range(pl.len()) % 12 - 5.5) * 30
    table = table.with_columns(station_id=station, users=pl.col("users") + lasting)
    judged = judge(world.project, world.register(200.0, holdout=write_table(world.project.store, table)))
    assert judged.evidence.undeclared is not None
    assert 'entity = "station_id"' in judged.evidence.undeclared


def test_a_decision_of_the_past_is_made_again_by_its_number(world: World) -> None:
    """From its entry alone: the packages and the holdout may be gone."""
    judged = judge(world.project, world.register(200.0))
    entry, again = judged_before(world.project, judged.entry.seq)
    assert (entry.seq, again.is_same, again.decision) == (judged.entry.seq, True, judged.decision)
    assert again.evidence is not None
    assert again.evidence.plain() == judged.evidence.plain()
    with pytest.raises(UsageError, match="tells of no gate"):
        judged_before(world.project, 1)
    with pytest.raises(NotFound, match="no entry 99"):
        judged_before(world.project, 99)
