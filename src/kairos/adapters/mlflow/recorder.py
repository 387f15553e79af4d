"""The recorder in the caller's process: hands records to a child process and brings its errors back."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, cast

from kairos.errors import AdapterError, KairosError
from kairos.experiments import RunRecord, VersionRecord

__all__ = ["BackgroundRecorder"]

_DEFAULTS = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_ALWAYS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # A run whose making was not answered may be there: who asks again without looking makes a second one.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}


class BackgroundRecorder:
    """A recorder whose calls return at once; see :class:`kairos.experiments.Recorder` for what it promises.

    The child process is started here, and imports MLflow while the caller goes on. If the caller is killed, the child
    still writes what it was given.

    Args:
        project: Name of the MLflow experiment.
        folder: The project's ``.kairos`` folder, absolute.
        uri: Address of an MLflow server; ``None`` for the file in ``folder``.
    """

    def __init__(self, *, project: str, folder: Path, uri: str | None) -> None:
        self._is_used = self._is_closed = False
        self._errors: SimpleQueue[KairosError] = SimpleQueue()
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115  closed with the recorder
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "kairos.adapters.mlflow"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            env={**_DEFAULTS, **os.environ, **_ALWAYS},
            start_new_session=True,  # Ctrl-C is for the caller
        )
        self._requests = cast("IO[bytes]", self._child.stdin)
        self._replies = cast("IO[bytes]", self._child.stdout)
        self._listener = threading.Thread(target=self._listen, name="kairos-mlflow", daemon=True)
        self._listener.start()
        self._send((project, folder, uri))
        self.place: str | None = None
        """Id and age of the experiment, once it is closed."""

    def expect(self, place: str | None) -> None:
        """Says which record was told so far."""
        self._send(("expect", (place,)))

    def record_run(self, record: RunRecord) -> None:
        """Hands over a run."""
        self._call("record_run", record)

    def record_version(self, record: VersionRecord) -> None:
        """Hands over a version; the files of its package are read later."""
        self._call("record_version", record)

    def set_aliases(self, model: str, aliases: Mapping[str, int | None]) -> None:
        """Hands over aliases."""
        self._call("set_aliases", model, dict(aliases))

    def close(self) -> None:
        """Waits until everything that was handed over is written."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_used:
            self._send(None)
        else:
            self._child.kill()  # there is nothing to wait for
        self._listener.join()
        code = self._child.wait()
        if self._is_used and code != 0:
            self._errors.put(_ended_early(code, self._noise))
        for pipe in (self._requests, self._replies, self._noise):
            with suppress(BrokenPipeError):
                pipe.close()
        self._raise_errors()

    def _call(self, method: str, *arguments: object) -> None:
        if self._is_closed:
            raise AdapterError("The recorder is closed.", given=method)
        self._is_used = True
        self._send((method, arguments))
        self._raise_errors()

    def _send(self, message: object) -> None:
        try:
            self._requests.write(pickle.dumps(message))
            self._requests.flush()
        except BrokenPipeError:
            self.close()  # which says how the child ended

    def _listen(self) -> None:
        while True:
            try:
                reply = pickle.load(self._replies)
            except (EOFError, pickle.UnpicklingError):  # the child ended
                return
            if isinstance(reply, KairosError):
                self._errors.put(reply)
            else:
                self.place = reply

    def _raise_errors(self) -> None:
        if self._errors.empty():
            return
        first, also = self._errors.get(), list[KairosError]()
        while not self._errors.empty():
            also.append(self._errors.get())
            first.add_note(f"Also: {also[-1]}")
        if also:
            first.facts["also"] = also
        raise first


def _ended_early(code: int, noise: IO[bytes]) -> AdapterError:
    noise.seek(0)
    last = noise.read().decode(errors="replace").strip().splitlines()[-1:]
    return AdapterError(
        "The process that writes to MLflow ended early; what it did not write can be recorded again.",
        given=f"exit status {code}: {last[0] if last else 'it said nothing'}",
    )
