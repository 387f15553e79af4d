"""The status page: what is live, by whom, why, and what happened last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from kairos.app.outlook import Outlook
from kairos.app.quality import beside_sentences
from kairos.web.status import FindingLine, ModelStatus, RunLine, StatusPage, render_status
from kairos.web.words import clean
from tests.app.test_beside import QUALITY
from tests.web.outlooks import with_outlook
from tests.web.reading import read_page
from tests.web.stories import HOSTILE, bikes, hostile

AT = datetime(2012, 6, 5, 9, 30, tzinfo=UTC)

LIVE = ModelStatus(
    name="demand",
    version="demand@8",
    since=datetime(2012, 5, 2, 14, 5, tzinfo=UTC),
    actor="ann",
    evidence=("pass: absolute error is 5.1 to 9.8 lower on 412 paired requests",),
    override="the release is today",
    entry=140,
    challenger="demand@9",
    stage="canary",
    share=0.1,
)
PAGE = StatusPage(
    project="mybikes",
    at=AT,
    models=(LIVE,),
    findings=(FindingLine(at=AT, subject="demand@8", level="alarm", sentence="quality: 61.2 is above 50.3"),),
    decisions=bikes().decisions[:3],
    ledger_head=212,
    ledger_hash="ab" * 32,
)


def text_of(page: StatusPage) -> str:
    """What a reader sees, with single blanks."""
    return " ".join(next(e.text for e in read_page(render_status(page)) if e.tag == "body").split())


def test_it_says_what_is_live_who_put_it_there_and_why() -> None:
    """Version, since when, by whom, on which evidence, past which gate, with the ledger entry."""
    text = text_of(PAGE)
    assert "demand@8 live since 2 May 2012, 14:05 UTC put there by ann, ledger entry 140" in text
    assert "because pass: absolute error is 5.1 to 9.8 lower on 412 paired requests" in text
    assert "past the gate override the release is today" in text
    assert "on trial demand@9, canary with 10% of the requests" in text


def test_it_says_what_was_found_and_decided_last() -> None:
    """Findings with their level, decisions with their verdict."""
    text = text_of(PAGE)
    assert "5 Jun 2012, 09:30 demand@8 alarm quality: 61.2 is above 50.3" in text
    assert "stage demand@1 hold live: the first version ann" in text


def test_live_losses_stand_beside_those_of_the_day_it_was_packaged() -> None:
    """For information, above the picture; nothing where they are not known."""
    outlook = Outlook(model="demand", champion=QUALITY.version, since=AT, quality=QUALITY)
    text = text_of(replace(PAGE, models=(replace(LIVE, outlook=outlook),)))
    assert " ".join(beside_sentences(QUALITY)) in text
    assert "when it was packaged" not in text_of(PAGE)


def test_a_model_without_a_champion_gets_the_command_that_helps() -> None:
    """Nothing live is said in words."""
    idle = replace(PAGE, models=(ModelStatus(name="idle", version=None),), findings=(), decisions=())
    text = text_of(idle)
    assert "Nothing is live. Type kairos deploy idle@N." in text
    assert "Last findings None." in text


def test_runs_under_way_and_dead_ones_are_told() -> None:
    """With where they are, and of which process."""
    runs = (
        RunLine(name="20120605T0920-7", state="running", at=AT, steps=("demand",), process="7 on box"),
        RunLine(name="20120605T0910-6", state="dead", at=AT, steps=("split", "demand"), process="6 on box"),
    )
    text = text_of(replace(PAGE, runs=runs))
    assert "20120605T0920-7, process 7 on box, since 5 Jun 2012, 09:30 UTC, at demand." in text
    assert "dead 20120605T0910-6: its process 6 on box was killed, last seen 5 Jun 2012, 09:30 UTC" in text
    assert "Runs under way" not in text_of(PAGE)


def test_an_empty_project_gets_the_first_command() -> None:
    """Nothing registered is said in words."""
    assert "No model is registered yet. Type kairos run." in text_of(replace(PAGE, models=()))


def test_hostile_text_is_only_text() -> None:
    """Whatever a reason, a name or an actor holds, the page keeps its form and runs nothing."""
    model = replace(LIVE, name=HOSTILE, version=HOSTILE, actor=HOSTILE, evidence=(HOSTILE,), override=HOSTILE)
    finding = FindingLine(at=AT, subject=HOSTILE, level="warn", sentence=HOSTILE)
    page = StatusPage(
        project=HOSTILE, at=AT, models=(model,), findings=(finding,), decisions=hostile().decisions[:2],
        ledger_head=1, ledger_hash=HOSTILE,
    )  # fmt: skip
    elements = read_page(render_status(page))
    assert not {"script", "img"} & {e.tag for e in elements}
    assert next(e.text for e in elements if e.tag == "h1") == clean(HOSTILE)


def test_the_same_values_give_the_same_bytes() -> None:
    """No clock is read."""
    assert render_status(PAGE) == render_status(PAGE)


def test_it_loads_itself_anew_without_a_script() -> None:
    """The browser is asked to; nothing else on the page acts."""
    elements = read_page(render_status(PAGE))
    assert [e.attributes["content"] for e in elements if e.attributes.get("http-equiv") == "refresh"] == ["60"]
    assert not [e for e in elements if e.tag == "script"]


def test_it_says_what_a_trial_waits_for_and_what_a_person_may_do() -> None:
    """Two sentences, what stands in the way, and the commands where only a person takes it further."""
    text = text_of(with_outlook(PAGE))
    assert (
        "demand@9 on trial: overdue The new version stays at 5 % of the requests, and still missing is: a day." in text
    )
    assert "frozen freeze ann froze demand until somebody unfreezes it: <b>the move</b>." in text
    assert "freeze to come From 2012-03-09 16:00 to 2012-03-12 08:00 UTC nothing will go forward" in text
    assert "kairos deploy demand@9 --to STAGE --override" in text
    assert "kairos rollback demand" in text
