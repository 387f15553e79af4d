"""The first hour of a new user: every command of the loop, typed into a shell, against real files, HTTP and MLflow.

What only looks, and what is typed once more, is typed in this process.
"""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from kairos.serving.protocols.messages import SERVICE, message
from tests.cli.said import Said
from tests.e2e.commands import Deployed, Server, ask, kairos, serving

pytestmark = [  # MLflow's own, and that of SQLAlchemy about it
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
SHA256 = re.compile(r"[0-9a-f]{64}")
MONDAY_MORNING = {
    "hour_of_day": 8,
    "weekday": 1,
    "workingday": 1,
    "holiday": 0,
    "season": 2,
    "weather": None,
    "temperature_c": 21.5,
    "feels_like_c": 22.0,
    "humidity": 52.0,
    "windspeed": 11.0,
}
"""A row as a client may send it: it does not know the weather."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What was typed, and what came of it."""

    project: Path
    said: dict[str, Said]
    """By the command's first word."""
    server: Server
    answer: dict[str, Any]
    """To the first request."""


@pytest.fixture(scope="module")
def hour(deployed: Deployed) -> Iterator[Hour]:
    """The deployed project is served, and one request is answered."""
    with serving(deployed.project, "up", "--grpc-port", "0") as server:
        answer = server.post("/predict/demand", {"inputs": MONDAY_MORNING})
        assert answer.status_code == 200, answer.text
        yield Hour(project=deployed.project, said=deployed.said, server=server, answer=answer.json())


def test_each_command_says_what_to_type_next(hour: Hour) -> None:
    """A user who knows only ``kairos init`` is led to a running server."""
    assert "cd mybikes" in hour.said["init"].out
    assert "kairos run" in hour.said["init"].out
    assert "Next: kairos gate demand" in hour.said["run"].out
    assert "Next: kairos deploy demand@1" in hour.said["gate"].out
    assert "Next: kairos up" in hour.said["deploy"].out
    assert [answer.err for answer in hour.said.values()] == [""] * 4


def test_the_answer_names_its_prediction_and_its_version(hour: Hour) -> None:
    """So that whoever got it can ask where it came from."""
    assert 0 <= hour.answer["prediction"] <= 5000
    assert hour.answer["prediction_id"]
    assert (hour.answer["model"], hour.answer["version"]) == ("demand", 1)


def test_the_server_tells_which_columns_a_model_takes(hour: Hour) -> None:
    """With their kinds and ranges, in the order of the signature; the example's row has just these."""
    told = hour.server.get("/models/demand").json()
    assert [column["name"] for column in told["columns"]] == list(MONDAY_MORNING)
    assert {column["name"] for column in told["columns"] if column["nullable"]} == {"weather"}
    assert hour.server.get("/models").json()["models"][0]["version"] == told["version"] == 1


def test_the_server_is_ready_and_has_a_page(hour: Hour) -> None:
    """The status page shows the project to people, ``/metrics`` to Prometheus."""
    assert hour.server.get("/health/ready").json()["ready"] is True
    page = hour.server.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "demand@1" in page.text
    assert "kairos_" in hour.server.get("/metrics").text


def test_every_protocol_gives_the_same_prediction(hour: Hour) -> None:
    """Plain JSON, MLflow's scoring, the Open Inference Protocol over HTTP and over gRPC; NaN is what is not known."""
    row = {name: None if value is None else float(value) for name, value in MONDAY_MORNING.items()}
    scored = hour.server.post("/invocations", {"dataframe_records": [row]}).json()
    head = {"datatype": "FP64", "shape": [1]}
    tensors = [{"name": name, "data": [value], **head} for name, value in row.items()]
    inferred = hour.server.post("/v2/models/demand/infer", {"inputs": tensors}).json()
    inputs = [
        message(
            "ModelInferRequest.InferInputTensor",
            name=name,
            contents=message("InferTensorContents", fp64_contents=[math.nan if value is None else value]),
            **head,
        )
        for name, value in row.items()
    ]
    sent = message("ModelInferRequest", model_name="demand", inputs=inputs).SerializeToString()
    with grpc.insecure_channel(hour.server.grpc) as channel:
        came = channel.unary_unary(f"/{SERVICE}/ModelInfer")(sent, timeout=60)
    called = type(message("ModelInferResponse")).FromString(came)
    found = [scored["predictions"], inferred["outputs"][0]["data"], [*called.outputs[0].contents.fp64_contents]]
    assert found == [[hour.answer["prediction"]]] * 3


def test_a_wrong_request_gets_one_clear_error(hour: Hour) -> None:
    """It names the field, and shows no traceback."""
    refused = hour.server.post("/predict/demand", {"inputs": {**MONDAY_MORNING, "humidity": "high"}})
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert (error["code"], error["field"]) == ("input_refused", "humidity")
    assert "Traceback" not in refused.text


def test_explain_leads_from_the_answer_back_to_everything_behind_it(hour: Hour) -> None:
    """Version, run, data, code, params, gate and person; digests whole, so that they can be compared."""
    found = kairos(hour.project, "explain", hour.answer["prediction_id"], "--json").json
    assert found["version"] == "demand@1"
    assert MD5.fullmatch(found["package"])
    assert found["run"] == ask(hour.project, "runs", "--json").json[-1]["run"]
    assert found["inputs"] == MONDAY_MORNING
    assert list(found["steps"]) == ["rentals", "features", "split", "demand"]
    inputs = {name: step["inputs"] for name, step in found["steps"].items()}
    assert {name: list(digests) for name, digests in inputs.items()} == {
        "rentals": ["data/bikes.csv.gz"],
        "features": ["rentals"],
        "split": ["features"],
        "demand": ["split.train"],
    }
    assert all(MD5.fullmatch(digest) for digests in inputs.values() for digest in digests.values())
    for step in found["steps"].values():
        assert SHA256.fullmatch(step["fingerprint"])
        assert SHA256.fullmatch(step["code"])
    assert found["steps"]["demand"]["params"] == {"max_iter": 150, "seed": 0}
    assert re.fullmatch(r"[0-9a-f]{40}", found["code"]["commit"])
    assert SHA256.fullmatch(found["code"]["dirty_digest"])
    assert found["gate"]["verdict"] == "pass"
    assert found["deployed"]["what"] == "live"
    assert found["deployed"]["actor"]


def test_explain_says_the_same_to_a_person(hour: Hour) -> None:
    """Every digest of the JSON stands in the text."""
    name = hour.answer["prediction_id"]
    found = ask(hour.project, "explain", name, "--json").json
    told = kairos(hour.project, "explain", name).out
    assert found["form"].startswith("compiled: equal to the last bit on ")
    facts = [
        name,
        "demand@1",
        found["package"],
        found["form"],
        found["run"],
        found["code"]["commit"],
        found["code"]["dirty_digest"],
    ]
    for step in found["steps"].values():
        facts += [step["fingerprint"], step["code"], *step["inputs"].values()]
    facts += [found["gate"]["what"], found["deployed"]["actor"]]
    assert [fact for fact in facts if fact not in told] == []


def test_an_answer_that_was_never_given_is_not_explained(hour: Hour) -> None:
    """Exit code 1 and one error, as text or as JSON."""
    assert kairos(hour.project, "explain", "nobody", "--json", code=1).error["code"] == "not_found"
    assert "There is no prediction 'nobody'" in ask(hour.project, "explain", "nobody", code=1).err


@pytest.fixture(scope="module")
def record(hour: Hour) -> tuple[MlflowClient, Run]:
    """MLflow's own client on the project's file, and the run as it sees it."""
    uri = f"sqlite:///{hour.project / '.kairos' / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("bikes")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    return client, run


def test_mlflow_has_the_run(hour: Hour, record: tuple[MlflowClient, Run]) -> None:
    """Params, metrics, commit, and every data input with its full digest."""
    [told] = ask(hour.project, "runs", "--json").json
    _, run = record
    assert run.info.status == "FINISHED"
    assert run.data.tags["kairos.run"] == told["run"]
    assert run.data.tags["mlflow.source.git.commit"] == told["code"]["commit"]
    assert run.data.params["demand.max_iter"] == "150"
    took = {name.removeprefix("kairos/"): value for name, value in run.data.metrics.items() if "/" in name}
    assert {name: value for name, value in run.data.metrics.items() if "/" not in name} == pytest.approx(
        told["metrics"]
    )
    assert (took["steps_ran"], took["steps_reused"]) == (4, 0)
    assert 0 < took["demand/cpu_s"] < took["cpu_s"]
    assert 10e6 < took["demand/peak_bytes"] <= took["peak_bytes"]
    assert 0 < run.data.metrics["demand.absolute_error"] < run.data.metrics["demand.absolute_error.baseline"]
    assert run.inputs is not None
    inputs = {one.dataset.name: one.dataset for one in run.inputs.dataset_inputs}
    assert set(inputs) == set(told["inputs"]) == {"data/bikes.csv.gz", "rentals", "features", "split.train"}
    for name, dataset in inputs.items():
        assert told["inputs"][name] in (dataset.digest, *dataset.source.split('"')), name


def test_mlflow_has_the_version_and_its_alias(hour: Hour, record: tuple[MlflowClient, Run]) -> None:
    """What is live is the champion there, too."""
    client, run = record
    version = client.get_model_version_by_alias("demand", "champion")
    assert (version.version, version.run_id) in (("1", run.info.run_id), (1, run.info.run_id))
    [told] = ask(hour.project, "models", "--json").json
    assert version.tags["kairos.package"] == told["package"]


def test_the_ledger_holds_the_facts(hour: Hour) -> None:
    """In order, intact, and told in a line each; a loop that ran may have taken a reading since."""
    log = ask(hour.project, "ledger", "log", "--json").json
    kinds = [entry["kind"] for entry in log]
    assert kinds[:4] == ["run.finished", "version.registered", "gate.decided", "stage.changed"]
    assert set(kinds[4:]) <= {"reading.taken"}
    told = ask(hour.project, "ledger", "log").out.splitlines()
    assert len(told) == len(log)
    assert "live: passed its gate" in told[3]
    found = ask(hour.project, "ledger", "verify", "--json").json
    assert (found["entries"], found["head"], found["broken_seq"]) == (len(log), log[-1]["hash"], None)
    assert f"The ledger is intact: {len(log)} entries" in ask(hour.project, "ledger", "verify").out


def test_live_tells_the_present_and_the_past(hour: Hour) -> None:
    """Who made it live and why; before the project began, nothing was."""
    [now] = ask(hour.project, "live", "--json").json
    assert (now["version"], now["challenger"]) == ("demand@1", None)
    assert now["changed"]["reasons"] == ["passed its gate", "nothing was live"]
    assert "demand@1 since" in kairos(hour.project, "live").out
    assert ask(hour.project, "live", "--at", "2012-03-03", "--json").json == []
    assert "Nothing was registered then." in ask(hour.project, "live", "--at", "2012-03-03").out
    assert ask(hour.project, "live", "--at", "soon", code=2).err.startswith("error: ")


def test_versions_and_runs_are_listed(hour: Hour) -> None:
    """A table for people; with ``--json``, the same for machines."""
    [version] = ask(hour.project, "models", "demand", "--json").json
    assert (version["ref"], version["stage"], version["verdict"]) == ("demand@1", "live", "pass")
    assert re.search(r"demand@1 +live +pass +manual", ask(hour.project, "models").out)
    [run] = ask(hour.project, "runs", "--json").json
    assert run["status"] == "finished"
    assert run["run"] in ask(hour.project, "runs").out


def test_late_labels_are_taken_from_a_file_and_explained(hour: Hour, tmp_path: Path) -> None:
    """All of a file or nothing of it; the truth then stands beside the answer."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    sent = hour.server.post("/predict/demand", {"inputs": MONDAY_MORNING}).json()["prediction_id"]
    bad.write_text(f"prediction_id,value\n{sent},300\nother,many\n")
    assert "Line 3 of bad.csv" in ask(hour.project, "labels", str(bad), code=2).err
    assert ask(hour.project, "explain", sent, "--json").json["label"] is None
    good.write_text(f"prediction_id,value\n{sent},412\n")
    assert kairos(hour.project, "labels", str(good), "--json").json["joined"] == 1
    assert "1 label taken, 0 of them new." in ask(hour.project, "labels", str(good)).out
    assert ask(hour.project, "explain", sent, "--json").json["label"] == 412


def test_watch_looks_once(hour: Hour) -> None:
    """After a handful of answers there is nothing to find, and it says so."""
    assert kairos(hour.project, "watch", "--json").json == []
    assert "Nothing was found." in ask(hour.project, "watch").out


def test_report_is_one_page_that_loads_nothing(hour: Hour, tmp_path: Path) -> None:
    """It is written where it is asked for, and needs no network."""
    page = tmp_path / "mine.html"
    assert kairos(hour.project, "report", "-o", str(page), "--json").json["report"] == str(page)
    text = page.read_text()
    assert "demand" in text
    assert not re.search(r"""(src|href)=["']?https?:""", text)


def test_up_stops_cleanly_on_ctrl_c(deployed: Deployed) -> None:
    """Exit code 0, no trouble on stderr (what the loop's first look saw may be there), and the ledger is whole."""
    with serving(deployed.project, "up") as server:
        assert server.get("/health/live").status_code == 200
        stopped = server.stop(signal.SIGINT)
    assert stopped.code == 0
    assert [line for line in stopped.err.splitlines() if not re.match(r"\S+ \S+Z INFO +demand ", line)] == []
    assert ask(deployed.project, "ledger", "verify", "--json").json["broken_seq"] is None


@pytest.fixture(scope="module")
def worse(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a second version, which learnt next to nothing."""
    project = deployed.copy(tmp_path_factory.mktemp("worse") / "mybikes")
    kairos(project, "run", "-p", "demand.max_iter=1", "--json")
    return project


def test_a_gate_that_fails_ends_with_3_and_one_that_holds_with_4(worse: Path) -> None:
    """So that a script can tell "worse" from "not enough evidence"; deploying says the same."""
    failed = kairos(worse, "gate", "demand@2", "--json", code=3).json
    assert (failed["verdict"], failed["against"]) == ("fail", "demand@1")
    refused = ask(worse, "deploy", "demand@2", "--json", code=3)
    assert refused.out == ""
    assert refused.error["code"] == "transition_refused"
    settings = worse / "kairos.toml"
    settings.write_text(settings.read_text() + "\n[model.demand.gate]\nmin_rows = 1000\n")
    held = kairos(worse, "gate", "demand@2", code=4).out
    assert "demand@2 against demand@1: hold" in held
    assert "too little data: 336 fresh rows, at least 1000 are asked for" in held
    assert "It needs about 664 more rows with a known truth" in held
    assert ask(worse, "deploy", "demand@2", "--to", "canary:25%", code=4).out == ""


def test_two_versions_are_compared(worse: Path) -> None:
    """Only what differs is told: here a param of the user's and what it led to."""
    found = ask(worse, "diff", "demand@1", "demand@2", "--json").json
    assert [(c["name"], c["before"], c["after"]) for c in found["params"]] == [("demand.max_iter", 150, 1)]
    assert found["inputs"] == found["code"] == []
    assert {change["name"] for change in found["metrics"]} == {"demand.absolute_error"}
    assert re.search(r"params +demand.max_iter +150 +1", kairos(worse, "diff", "demand@1", "demand@2").out)
    same = ask(worse, "diff", "demand@1", "demand@1").out
    assert "do not differ" in same


def test_a_run_that_changes_nothing_reuses_everything(worse: Path) -> None:
    """And registers nothing new."""
    again = kairos(worse, "run", "--json").json
    assert {step["status"] for step in again["steps"]} == {"reused"}
    assert (again["versions"], again["unchanged"]) == ([], ["demand@1"])
