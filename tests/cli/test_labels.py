"""What ``kairos labels`` says: what became of a file, and how labels arrive."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project
from tests.cli.said import TypeIn
from tests.monitor.logs import prediction


def test_what_joined_nothing_is_told(toy: Path, type_in: TypeIn) -> None:
    """A label by entity and time that fits no prediction is kept, and nobody believes that it was used."""
    with (toy / SETTINGS_FILE).open("a") as file:
        file.write('entity = "station"\n')
    (toy / "labels.csv").write_text("station,time,value\ns1,2012-03-03T14:00Z,3\ns2,2012-03-03,4\n")
    words = ("labels", str(toy / "labels.csv"))
    said = type_in(toy, *words)
    assert said.code == 0
    assert said.out.splitlines() == [
        "2 labels taken, 2 of them new.",
        "2 are about no prediction in the log; they will join if it comes.",
    ]
    found = type_in(toy, *words, "--json").json
    assert found == {"labels": 2, "new": 0, "joined": 0, "ambiguous": 0, "unmatched": 2}
    told = type_in(toy, "labels").out
    assert "demand: A day counts 1d after its end, until enough labels show how late they are." in told
    assert "0 are near predictions of more than one time, 2 are about none" in told
    assert type_in(toy, "labels", "--json").json["demand"]["unmatched"] == 2


def test_which_model_is_meant_has_to_be_said_where_there_are_several(toy: Path, type_in: TypeIn) -> None:
    """A prediction id says it by itself."""
    with (toy / SETTINGS_FILE).open("a") as file:
        file.write('[model.other]\nholdout = "split.holdout"\n')
    path = toy / "labels.csv"
    path.write_text("time,value\n2012-03-03,3\n")
    said = type_in(toy, "labels", str(path))
    assert said.code == 2
    assert "--model with one of demand, other" in said.err
    assert type_in(toy, "labels", str(path), "--model", "other").code == 0
    path.write_text("prediction_id,value\np,3\n")
    assert type_in(toy, "labels", str(path)).code == 0


def test_a_byte_order_mark_is_no_part_of_the_first_column(toy: Path, type_in: TypeIn) -> None:
    """Excel writes one."""
    path = toy / "labels.csv"
    path.write_text("prediction_id,value\np,3\n", encoding="utf-8-sig")
    assert type_in(toy, "labels", str(path)).out.startswith("1 label taken, 1 of them new.")


def test_a_value_that_cannot_be_true_is_refused_with_its_line(toy: Path, type_in: TypeIn) -> None:
    """Of a model of chances, 7 is no truth; nothing of the file is kept. A prediction that is in no log is nobody's."""
    settings = toy / SETTINGS_FILE
    settings.write_text(settings.read_text() + 'loss = "log_loss"\n')
    with closing(Project(toy, actor="tester").predictions.writer("w")) as writer:
        writer.append([prediction(hour, 0.5) for hour in range(2)])
    path = toy / "labels.csv"
    path.write_text("prediction_id,value\np0,1\np1,7\n")
    said = type_in(toy, "labels", str(path))
    assert said.code == 2
    assert "Line 3 of labels.csv has a value that the prediction 'p1' of the model 'demand' cannot be" in said.err
    assert "accepted: 0 or 1" in said.err
    path.write_text("time,value\n2012-03-03,1\n2012-03-04,7\n")
    said = type_in(toy, "labels", str(path))
    assert said.code == 2
    assert "Line 3 of labels.csv has a value that the model 'demand' cannot be judged by." in said.err
    path.write_text("prediction_id,value\np0,1\nelsewhere,7\n")
    assert type_in(toy, "labels", str(path)).out.startswith("2 labels taken, 2 of them new.")
