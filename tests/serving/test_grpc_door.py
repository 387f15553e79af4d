"""The Open Inference Protocol over gRPC, on a real port; other people's clients are asked in ``tests/clients``."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.serving.app import make_app
from kairos.serving.connections.tls import Certificate
from kairos.serving.grpc_door import GrpcDoor
from kairos.serving.process import serve
from kairos.serving.protocols.inference import OUTPUTS
from kairos.serving.protocols.inference_grpc import InferenceMessage
from kairos.serving.protocols.messages import SERVICE, message
from kairos.store.predictions import Prediction, PredictionLog
from tests.serving.connections.certificates import certify
from tests.serving.toys import Columns, Registry, adds, gives, make_server, route


class Caller:
    """Calls a server with messages."""

    def __init__(self, log: PredictionLog, address: str, certificate: Path | None = None) -> None:
        self.log = log
        if certificate is None:
            self._channel = grpc.insecure_channel(address)
        else:
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate.read_bytes()))

    def raw(self, call: str, data: bytes, **options: Any) -> bytes:
        """The bytes that these bytes are answered with."""
        answer: bytes = self._channel.unary_unary(f"/{SERVICE}/{call}")(data, **{"timeout": 30, **options})
        return answer

    def __call__(self, call: str, **fields: Any) -> Any:
        """The answer to a call with these fields."""
        sent = message(f"{call}Request", **fields)
        return type(message(f"{call}Response")).FromString(self.raw(call, sent.SerializeToString()))

    def refused(self, call: str, **fields: Any) -> tuple[str, str]:
        """Status and text of a refusal."""
        with pytest.raises(grpc.RpcError) as caught:
            self(call, **fields)
        return caught.value.code().name, caught.value.details()

    def close(self) -> None:
        """Ends."""
        self._channel.close()


@contextmanager
def listening(registry: Registry, folder: Path, certificate: Path | None = None) -> Iterator[Caller]:
    """A server that is there for gRPC alone, with its event loop in a thread; over TLS if there is a certificate."""
    tls = None if certificate is None else Certificate(certificate, certificate)
    log = PredictionLog(folder)
    server = make_server(registry, log.writer("toy"))
    told: Future[str] = Future()

    async def serve() -> None:
        door = GrpcDoor(server, tls)
        address = door.bind("127.0.0.1", 0)
        app = make_app(server, beside=door.open)
        async with app.router.lifespan_context(app):
            told.set_result(address)
            await stop.wait()

    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    caller = Caller(log, told.result(30), certificate)
    try:
        yield caller
    finally:
        caller.close()
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """Version 2 is live and adds 2000, version 3 is in shadow, version 1 was live before; 4 cannot be loaded."""
    registry = Registry(
        {1: adds(1000), 2: adds(2000), 3: adds(3000)}, route(2, challenger=3, stage="shadow", previous=1)
    )
    with listening(registry, tmp_path_factory.mktemp("log")) as caller:
        yield caller


def test_tls_is_spoken_with_the_certificate_of_http(tmp_path: Path) -> None:
    """A client that believes it is answered."""
    certify(tmp_path / "cert.pem")
    with listening(Registry({1: adds(1000)}, route(1)), tmp_path / "log", tmp_path / "cert.pem") as call:
        assert call("ServerLive").live


def tensor(name: str = "temperature", datatype: str = "FP64", shape: Any = (1,), **contents: Any) -> Any:
    """An input."""
    given = {"contents": message("InferTensorContents", **contents)} if contents else {}
    return message("ModelInferRequest.InferInputTensor", name=name, datatype=datatype, shape=shape, **given)


TEMPERATURE = tensor(fp64_contents=[20.5])
TEXT = message("InferParameter", string_param="s1")


def rows_of(call: Caller, name: str) -> list[Prediction]:
    """What the log holds of a prediction."""
    return sorted(call.log.find(name), key=lambda row: (row.role, row.version))


def infer(call: Caller, *inputs: Any, **fields: Any) -> Any:
    """An answer for ``demand``."""
    return call("ModelInfer", model_name="demand", inputs=inputs, **fields)


def test_contents_are_answered_with_contents(call: Caller) -> None:
    """Every output comes, and the prediction is in the log before it does; version 3 follows after the answer."""
    answer = infer(call, TEMPERATURE, id="order-7")
    assert (answer.model_name, answer.model_version, answer.id) == ("demand", "2", "order-7")
    assert {each.name: each.datatype for each in answer.outputs} == dict(OUTPUTS)
    prediction, ids, version, guard = (each.contents for each in answer.outputs)
    assert ([*prediction.fp64_contents], [*version.int64_contents], [*guard.bytes_contents]) == ([2020.5], [2], [b""])
    name = ids.bytes_contents[0].decode()
    until = time.monotonic() + 10
    while len(rows := rows_of(call, name)) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert [(row.role, row.version, row.answered) for row in rows] == [
        ("challenger", 3, False),
        ("champion", 2, True),
        ("previous", 1, False),
    ]


def test_raw_tensors_are_answered_with_raw_tensors(call: Caller) -> None:
    """As Triton's client sends them; only the outputs that are asked for come."""
    inputs = [tensor(shape=[2]), tensor("weather", "BYTES", [2])]
    raw = [struct.pack("<2d", 20.5, 3.0), b"\x04\0\0\0rain\x05\0\0\0clear"]
    wanted = [message("ModelInferRequest.InferRequestedOutputTensor", name="prediction")]
    answer = infer(call, *inputs, raw_input_contents=raw, outputs=wanted)
    assert [each.name for each in answer.outputs] == ["prediction"]
    assert struct.unpack("<2d", answer.raw_output_contents[0]) == (2020.5, 2003.0)


@pytest.mark.parametrize(
    ("datatype", "field"),
    [
        *((f"INT{bits}", "int_contents") for bits in (8, 16, 32)),
        *((f"UINT{bits}", "uint_contents") for bits in (8, 16, 32)),
        *((f"{kind}64", f"{kind.lower()}64_contents") for kind in ("INT", "UINT", "FP")),
        ("FP32", "fp32_contents"),
    ],
)
def test_every_number_is_read(call: Caller, datatype: str, field: str) -> None:
    """Each data type from the field where the protocol has it."""
    answer = infer(call, tensor("temperature", datatype, [1], **{field: [5]}))
    assert [*answer.outputs[0].contents.fp64_contents] == [2005.0]


def test_other_kinds_parameters_and_versions(call: Caller) -> None:
    """Booleans and texts are read; parameters say whom a row is about; a version that is named answers."""
    inputs = [
        TEMPERATURE,
        tensor("holiday", "BOOL", bool_contents=[True]),
        tensor("note", "BYTES", bytes_contents=["ä".encode()]),
    ]
    parameters = {"entity": TEXT}
    answer = infer(call, *inputs, model_version="3", parameters=parameters)
    assert answer.model_version == "3"
    [row] = rows_of(call, answer.outputs[1].contents.bytes_contents[0].decode())
    assert (row.role, row.key) == ("challenger", "s1")
    assert (row.inputs["holiday"], row.inputs["note"]) == (True, "ä")


def test_what_is_told(call: Caller) -> None:
    """Health, metadata, the index; loading what is live is done already."""
    assert call("ServerLive").live
    assert call("ServerReady").ready
    assert call("ModelReady", name="demand", version="1").ready
    assert call("ServerMetadata").name == "kairos"
    told = call("ModelMetadata", name="demand")
    assert [*told.versions] == ["1", "2", "3"]
    assert (told.inputs[0].name, told.inputs[0].datatype, [*told.inputs[0].shape]) == ("temperature", "FP64", [-1])
    assert [each.state for each in call("RepositoryIndex", ready=True).models] == ["READY"] * 3
    assert call("RepositoryModelLoad", model_name="demand").isLoaded
    assert call("RepositoryModelLoad", repository_or_model_name="demand").model_name == "demand"


def test_the_index_tells_what_could_not_be_loaded(tmp_path: Path) -> None:
    """With the reason; who asks for what is ready does not get it."""
    registry = Registry({1: adds(1)}, route(1, challenger=2, stage="shadow"))
    with listening(registry, tmp_path) as call:
        found = call("RepositoryIndex").models
        assert [(each.version, each.state) for each in found] == [("1", "READY"), ("2", "UNAVAILABLE")]
        assert "damaged" in found[1].reason
        assert len(call("RepositoryIndex", ready=True).models) == 1


@pytest.mark.parametrize(
    ("name", "fields", "status", "said"),
    [
        ("ModelInfer", {"model_name": "demnad"}, "NOT_FOUND", "Did you mean 'demand'?"),
        ("ModelInfer", {"model_name": "demand", "model_version": "9"}, "NOT_FOUND", "Accepted: 1, 2, 3."),
        ("ModelInfer", {"model_name": "demand", "model_version": "x"}, "NOT_FOUND", "by its number"),
        ("ModelInfer", {"model_name": "demand"}, "INVALID_ARGUMENT", "no input"),
        ("ModelReady", {"name": "demand", "version": "9"}, "NOT_FOUND", "not loaded"),
        ("ModelMetadata", {"name": "demnad"}, "NOT_FOUND", "demnad"),
        ("RepositoryModelUnload", {"model_name": "demand"}, "FAILED_PRECONDITION", "kairos rollback"),
    ],
)
def test_refusals_have_a_status_and_say_why(
    call: Caller, name: str, fields: dict[str, str], status: str, said: str
) -> None:
    """The text is what HTTP says."""
    found = call.refused(name, **fields)
    assert found[0] == status
    assert said in found[1]


@pytest.mark.parametrize(
    ("inputs", "more", "said"),
    [
        ([tensor(fp64_contents=[1.0, 2.0])], {}, "not as much data"),
        ([tensor(shape=[1, 1 << 30], fp64_contents=[1.0])], {}, "not as much data"),
        ([tensor(shape=[-1], fp64_contents=[1.0])], {}, "shape"),
        ([tensor(datatype="FP16", fp32_contents=[1.0])], {}, "raw_input_contents"),
        ([tensor(datatype="INT8", int_contents=[300])], {}, "no INT8"),
        ([tensor(datatype="UINT16", uint_contents=[1 << 20])], {}, "no UINT16"),
        ([tensor(fp32_contents=[1.0])], {}, "Accepted: fp64_contents."),
        ([tensor("note", "BYTES", bytes_contents=[b"\xff"])], {}, "not UTF-8"),
        ([tensor(fp64_contents=[float("nan")])], {}, "temperature"),
        ([TEMPERATURE], {"raw_input_contents": [b"x" * 8]}, "raw contents"),
        ([tensor()], {"raw_input_contents": [b""] * 2}, "raw contents"),
        ([TEMPERATURE], {"id": "x" * 300}, "'id'"),
        ([TEMPERATURE], {"parameters": {"shared_memory_region": TEXT}}, "Shared memory"),
        ([TEMPERATURE], {"outputs": [message("ModelInferRequest.InferRequestedOutputTensor", name="x")]}, "no such"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call: Caller, inputs: list[Any], more: dict[str, Any], said: str) -> None:
    """The protocol's other forms are refused likewise; here those that only gRPC has."""
    status, text = call.refused("ModelInfer", model_name="demand", inputs=inputs, **more)
    assert status == "INVALID_ARGUMENT"
    assert said in text


def test_a_message_over_the_limit_is_refused_whatever_it_is_folded_to(call: Caller) -> None:
    """64 MiB of nothing, in gzip a few kilobytes, never become a message."""
    sent = message("ModelInferRequest", model_name="demand", raw_input_contents=[bytes(64 << 20)]).SerializeToString()
    with pytest.raises(grpc.RpcError) as caught:
        call.raw("ModelInfer", sent, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_bytes_come_are_answered_or_refused(call: Caller, data: st.DataObject) -> None:
    """A request with bytes changed, cut off or put in is no fault of the server."""
    whole = bytearray(
        message(
            "ModelInferRequest",
            model_name="demand",
            inputs=[TEMPERATURE, tensor("hour", "INT64", int64_contents=[7])],
            parameters={"entity": TEXT},
        ).SerializeToString()
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    status = grpc.StatusCode.OK
    try:
        call.raw("ModelInfer", bytes(whole))
    except grpc.RpcError as error:
        status = error.code()
    assert status.name in ("OK", "INVALID_ARGUMENT", "NOT_FOUND")


def test_no_answer_that_may_leave_is_unavailable(tmp_path: Path) -> None:
    """As 503 is in HTTP."""
    with listening(Registry({1: gives(float("nan"))}, route(1)), tmp_path) as call:
        status, _ = call.refused("ModelInfer", model_name="demand", inputs=[TEMPERATURE])
    assert status == "UNAVAILABLE"


def test_a_fault_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is ``INTERNAL``, and says no more."""
    with listening(Registry({1: adds(1)}, route(1)), tmp_path) as call:
        monkeypatch.setattr(InferenceMessage, "encode", lambda *words: int("a secret"))
        status, text = call.refused("ModelInfer", model_name="demand", inputs=[TEMPERATURE])
    assert (status, text) == ("INTERNAL", "The server failed; its log says why.")


def test_a_call_whose_deadline_passed_while_it_waited_is_not_run(tmp_path: Path) -> None:
    """One call keeps the lane; the next has little time and gives up, and the model never sees its row."""
    seen, held = [], threading.Event()

    def rule(columns: Columns) -> Any:
        temperature = columns["temperature"]
        if temperature[0] != 0.0:
            seen.append(temperature[0])
            held.wait(20)
        return temperature

    with listening(Registry({1: rule}, route(1)), tmp_path) as call:
        with ThreadPoolExecutor(1) as pool:
            busy = pool.submit(infer, call, TEMPERATURE)
            until = time.monotonic() + 10
            while not seen and time.monotonic() < until:
                time.sleep(0.01)
            late = message("ModelInferRequest", model_name="demand", inputs=[tensor(fp64_contents=[1.0])])
            with pytest.raises(grpc.RpcError) as caught:
                call.raw("ModelInfer", late.SerializeToString(), timeout=0.2)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            time.sleep(0.2)  # the server learns it too
            held.set()
            busy.result()
        infer(call, TEMPERATURE)
    assert seen == [20.5, 20.5]


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """Two servers never share one unawares; nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make_server(Registry({1: adds(1)}, route(1)), PredictionLog(tmp_path).writer("toy"))
        with pytest.raises(UsageError, match="gRPC"):
            serve(server, port=0, grpc_port=taken.getsockname()[1])
