"""The official clients of the Open Inference Protocol, unchanged, against a server in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.environment import ROOT, run_client
from tests.clients.servers import Addresses, inference_server

TRITON = """
import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

client = http.InferenceServerClient(url.removeprefix("http://"))

def tensor(name, values, datatype, is_binary):
    sent = http.InferInput(name, list(values.shape), datatype)
    sent.set_data_from_numpy(values, binary_data=is_binary)
    return sent

def refused(ask):
    try:
        ask()
    except InferenceServerException as error:
        return error.status()

def ask(is_binary, zipped, version, answer_zipped):
    inputs = [
        tensor("temperature", np.array([20.5, 3.0]), "FP64", is_binary),
        tensor("hour", np.array([7, 8], dtype=np.int64), "INT64", is_binary),
        tensor("holiday", np.array([True, False]), "BOOL", is_binary),
        tensor("weather", np.array(["rain", "clear"], dtype=object), "BYTES", is_binary),
    ]
    found = client.infer("demand", inputs, model_version=version, request_id="order-7",
        request_compression_algorithm=zipped, response_compression_algorithm=answer_zipped)
    got = found.get_response()
    ids = found.as_numpy("prediction_id")
    return [found.as_numpy("prediction").tolist(), got["model_version"], got["id"], len(ids)]

ways = [(None, None), ("gzip", "gzip"), ("deflate", "deflate")]

answer = {
    "health": [client.is_server_live(), client.is_server_ready(), client.is_model_ready("demand"),
        client.is_model_ready("demand", "3"), client.is_model_ready("demand", "9"), client.is_model_ready("demnad")],
    "server": client.get_server_metadata()["name"],
    "versions": client.get_model_metadata("demand")["versions"],
    "index": [each["state"] for each in client.get_model_repository_index()],
    "load": client.load_model("demand"),
    "unload": refused(lambda: client.unload_model("demand")),
    "unknown": refused(lambda: client.infer("demand", [tensor("temperatur", np.array([1.0]), "FP64", True)])),
    "answers": [ask(b, z, v, a) for b in (True, False) for z, a in ways
        for v in ("", "1", "3")],
    "datatypes": [
        client.infer("demand", [tensor("temperature", np.array([5], dtype=dtype), name, True)])
        .as_numpy("prediction").tolist()
        for name, dtype in (("INT8", "i1"), ("INT16", "i2"), ("INT32", "i4"), ("INT64", "i8"), ("UINT8", "u1"),
            ("UINT16", "u2"), ("UINT32", "u4"), ("UINT64", "u8"), ("FP16", "f2"), ("FP32", "f4"), ("FP64", "f8"))
    ],
}
"""

KSERVE = """
import asyncio
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

async def talk():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    answers = []
    for is_binary in (True, False):
        sent = InferInput("temperature", [2], "FP64")
        sent.set_data_from_numpy(np.array([1.0, 2.0]), binary_data=is_binary)
        found = await client.infer(url, InferRequest("demand", [sent]), model_name="demand")
        answers.append(found.outputs[0].as_numpy().tolist())
    return {
        "health": [await client.is_server_live(url), await client.is_server_ready(url),
            await client.is_model_ready(url, "demand")],
        "answers": answers,
    }

answer = asyncio.run(talk())
"""


TRITON_GRPC = """
import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

client = grpc.InferenceServerClient(url)

def tensor(name, values, datatype):
    sent = grpc.InferInput(name, list(values.shape), datatype)
    sent.set_data_from_numpy(values)
    return sent

def refused(ask):
    try:
        ask()
    except InferenceServerException as error:
        return error.status()

def ask(zipped, version, outputs):
    inputs = [
        tensor("temperature", np.array([20.5, 3.0]), "FP64"),
        tensor("hour", np.array([7, 8], dtype=np.int64), "INT64"),
        tensor("holiday", np.array([True, False]), "BOOL"),
        tensor("weather", np.array(["rain", "clear"], dtype=object), "BYTES"),
    ]
    wanted = None if outputs is None else [grpc.InferRequestedOutput(name) for name in outputs]
    found = client.infer("demand", inputs, model_version=version, request_id="order-7", outputs=wanted,
        compression_algorithm=zipped, client_timeout=20.0, parameters={"entity": "s1"})
    got = found.get_response()
    return [found.as_numpy("prediction").tolist(), got.model_version, got.id, len(got.outputs)]

def in_background():
    import queue
    answers = queue.Queue()
    client.async_infer("demand", [tensor("temperature", np.array([1.0]), "FP64")],
        callback=lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=20)
    return None if error else result.as_numpy("prediction").tolist()

answer = {
    "health": [client.is_server_live(), client.is_server_ready(), client.is_model_ready("demand"),
        client.is_model_ready("demand", "3")],
    "not_ready": refused(lambda: client.is_model_ready("demand", "9")),
    "server": client.get_server_metadata().name,
    "versions": list(client.get_model_metadata("demand").versions),
    "index": [each.state for each in client.get_model_repository_index().models],
    "load": client.load_model("demand"),
    "unload": refused(lambda: client.unload_model("demand")),
    "unknown": refused(lambda: client.infer("demand", [tensor("temperatur", np.array([1.0]), "FP64")])),
    "answers": [ask(z, v, o) for z, o in ((None, None), ("gzip", None), ("deflate", ["prediction"]))
        for v in ("", "1", "3")],
    "background": in_background(),
    "datatypes": [
        client.infer("demand", [tensor("temperature", np.array([5], dtype=dtype), name)])
        .as_numpy("prediction").tolist()
        for name, dtype in (("INT8", "i1"), ("INT16", "i2"), ("INT32", "i4"), ("INT64", "i8"), ("UINT8", "u1"),
            ("UINT16", "u2"), ("UINT32", "u4"), ("UINT64", "u8"), ("FP16", "f2"), ("FP32", "f4"), ("FP64", "f8"))
    ],
}
"""

KSERVE_GRPC = """
import asyncio
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest

async def talk():
    client = InferenceGRPCClient(url)
    answers = []
    for is_raw in (True, False):
        sent = InferInput("temperature", [2], "FP64")
        sent.set_data_from_numpy(np.array([1.0, 2.0]), binary_data=is_raw)
        found = await client.infer(InferRequest("demand", [sent]))
        answers.append(found.outputs[0].as_numpy().tolist())
    return {
        "health": [await client.is_server_live(), await client.is_server_ready(),
            await client.is_model_ready("demand")],
        "answers": answers,
    }

answer = asyncio.run(talk())
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Version 2 is live, 3 in shadow, 1 was live before."""
    with inference_server(tmp_path_factory.mktemp("server")) as served:
        yield served


def talk(program: str, url: str) -> Any:
    """What the program left in ``answer``; a missing environment fails the test."""
    frame = f"import json, sys\nurl = sys.argv[1]\n{program}\nprint(json.dumps(answer))"
    done = run_client("-c", frame, url)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_tritonclient_works_unchanged(served: Addresses) -> None:
    """Health, metadata, repository, and answers: binary or not, compressed or not, of any loaded version."""
    found = talk(TRITON, served.http)
    assert found["health"] == [True, True, True, True, False, False]
    assert (found["server"], found["versions"], found["index"]) == ("kairos", ["1", "2", "3"], ["READY"] * 3)
    assert (found["load"], found["unload"], found["unknown"]) == (None, "409", "400")
    expected = [[[20.5 + 1000 * n, 3.0 + 1000 * n], str(n), "order-7", 2] for n in (2, 1, 3)]
    assert found["answers"] == expected * 6
    assert found["datatypes"] == [[2005.0]] * 11


def test_kserves_client_works_unchanged(served: Addresses) -> None:
    """Its health checks read JSON bodies; its requests repeat the model's name."""
    found = talk(KSERVE, served.http)
    assert found["health"] == [True, True, True]
    assert found["answers"] == [[2001.0, 2002.0]] * 2


def test_tritonclient_works_unchanged_over_grpc(served: Addresses) -> None:
    """The same; it sends raw tensors, compressed or not, waiting or in the background."""
    found = talk(TRITON_GRPC, served.grpc)
    assert found["health"] == [True] * 4
    assert (found["server"], found["versions"], found["index"]) == ("kairos", ["1", "2", "3"], ["READY"] * 3)
    refusals = [found[name].removeprefix("StatusCode.") for name in ("not_ready", "unload", "unknown")]
    assert refusals == ["NOT_FOUND", "FAILED_PRECONDITION", "INVALID_ARGUMENT"]
    assert found["load"] is None
    numbers = (2, 1, 3)
    expected = [[[20.5 + 1000 * n, 3.0 + 1000 * n], str(n), "order-7", many] for many in (4, 4, 1) for n in numbers]
    assert found["answers"] == expected
    assert (found["background"], found["datatypes"]) == ([2001.0], [[2005.0]] * 11)


def test_kserves_client_works_unchanged_over_grpc(served: Addresses) -> None:
    """With raw tensors and with contents."""
    found = talk(KSERVE_GRPC, served.grpc)
    assert found["health"] == [True, True, True]
    assert found["answers"] == [[2001.0, 2002.0]] * 2


def test_the_descriptor_is_what_the_protocols_text_says() -> None:
    """Made anew, it is the file that is shipped."""
    folder = ROOT / "src/kairos/serving/protocols"
    done = run_client(
        *("-m", "grpc_tools.protoc", f"-I{folder}", "--descriptor_set_out=/dev/stdout", "open_inference.proto"),
        text=False,
    )
    assert done.stdout == (folder / "open_inference.binpb").read_bytes()
