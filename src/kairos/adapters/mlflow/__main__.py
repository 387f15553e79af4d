"""The child process: reads records from its input, writes them to MLflow, and replies with what went wrong."""

from __future__ import annotations

import importlib
import os
import pickle
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

from kairos.adapters.mlflow.database import ARTIFACTS, alone, make_database
from kairos.errors import AdapterError, KairosError
from kairos.experiments import RunRecord, VersionRecord

if TYPE_CHECKING:
    from kairos.adapters.mlflow.writer import MlflowWriter

__all__ = ["main"]

_WRITER = "kairos.adapters.mlflow.writer"
_STORES = ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")

_RIGHTS = ("error code 401", "error code 403", "PERMISSION_DENIED", "UNAUTHENTICATED")


def main() -> None:
    """Works until its input ends. The first message says where to write, the others what."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # MLflow prints the addresses of runs
    inbox: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(requests, inbox), daemon=True).start()
    if (place := inbox.get()) is not None:
        _work(inbox, replies, *place)
    replies.close()
    os._exit(0)  # everything is written; taking two thousand modules apart would take another second


def _work(inbox: SimpleQueue[Any], replies: IO[bytes], project: str, folder: Path, uri: str | None) -> None:
    for module in (_WRITER, *(() if uri else _STORES)):
        importlib.import_module(module)  # for seconds, in which the inbox fills and the caller does not wait
    from kairos.adapters.mlflow.refusing import is_refusal

    writer: MlflowWriter | None = None
    known: str | None = None
    is_down = False
    for method, arguments in iter(inbox.get, None):
        if method == "expect":
            known = arguments[0]
            continue
        if is_down:
            continue  # what comes after must not be recorded before; it has been told that all is to be told again
        try:
            with alone(folder):
                writer = writer or _open_writer(project, folder, uri, known)
                getattr(writer, method)(*arguments)
        except Exception as error:  # whatever an engine of that size raises, the caller has to hear of it
            is_down = not is_refusal(error)
            if isinstance(error, KairosError):
                error.facts.setdefault("refused", not is_down)
            _reply(error if isinstance(error, KairosError) else _told(arguments[0], error, is_down=is_down), replies)

    if writer is not None and not is_down:
        _reply(writer.place, replies)


def _receive(requests: IO[bytes], inbox: SimpleQueue[Any]) -> None:
    try:
        while (message := pickle.load(requests)) is not None:
            inbox.put(message)
    except (EOFError, pickle.UnpicklingError):  # the caller was killed, perhaps in the middle of a message
        pass
    finally:
        inbox.put(None)


def _open_writer(project: str, folder: Path, uri: str | None, known: str | None) -> MlflowWriter:
    artifacts = None
    if uri is None:
        uri, artifacts = make_database(folder), (folder / ARTIFACTS).as_uri()
    # By this MLflow finds logged models and uploads files, whatever its client was given; only this process sees it.
    os.environ["MLFLOW_TRACKING_URI"] = uri
    writer: MlflowWriter = importlib.import_module(_WRITER).MlflowWriter(project=project, uri=uri, artifacts=artifacts)
    writer.expect(known)
    return writer


def _told(subject: object, error: Exception, *, is_down: bool) -> AdapterError:
    match subject:
        case RunRecord():
            what = f"run {subject.run!r}"
        case VersionRecord():
            what = f"version {str(subject.ref)!r}"
        case _:
            what = f"the aliases of {subject!r}"
    said = str(error).strip().partition("\n")[0]
    later = "It is recorded later, with all that comes after it." if is_down else None
    if later and any(word in said for word in _RIGHTS):
        later += " Does the environment of this command set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD?"
    return AdapterError(
        f"MLflow did not take {what}.",
        given=f"{type(error).__name__}: {said}",
        hint=later,
        passing=is_down,
        refused=not is_down,
    )


def _reply(reply: KairosError | str | None, replies: IO[bytes]) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more; what is left is written all the same
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    main()
