"""What is a refusal, and what an outage: who takes the one for the other loses a run, or never gets past it."""

from __future__ import annotations

import errno

import pytest
import requests
import sqlalchemy.exc
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos import databricks_pb2 as codes

from kairos.adapters.mlflow.refusing import is_refusal
from kairos.errors import AdapterError

ENDPOINT = "API request to endpoint /api/2.0/mlflow/runs/log-batch failed with error code"


def caused(error: Exception, cause: Exception) -> Exception:
    """An error with its cause."""
    error.__cause__ = cause
    return error


def answered(status: int) -> requests.HTTPError:
    """What an upload says."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} of an upload", response=response)


def said(code: str, message: str = "no") -> RestException:
    """MLflow's own answer."""
    return RestException({"error_code": code, "message": message})  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "error",
    [
        said("INVALID_PARAMETER_VALUE", "Invalid metric name: 'what?'"),
        said("RESOURCE_ALREADY_EXISTS"),
        MlflowException("Changing param values is not allowed.", error_code=codes.INVALID_PARAMETER_VALUE),
        said("BAD_REQUEST", "(psycopg.DataError) PostgreSQL text fields cannot contain NUL (0x00) bytes"),
        said("BAD_REQUEST", "(sqlite3.IntegrityError) UNIQUE constraint failed"),
        said("BAD_REQUEST", "(psycopg.errors.NumericValueOutOfRange) bigint out of range"),
        MlflowException(f"{ENDPOINT} 413 != 200. Response body: '<html>'"),
        answered(413),
        ValueError("Value out of range: 9223372036854775808"),
        AdapterError("MLflow would number demand@3 differently."),
    ],
    ids=str,
)
def test_what_speaks_of_the_record_is_a_refusal(error: Exception) -> None:
    """Sent again, it would be said again."""
    assert is_refusal(error)


@pytest.mark.parametrize(
    "error",
    [
        said("INTERNAL_ERROR"),
        said("TEMPORARILY_UNAVAILABLE"),
        said("PERMISSION_DENIED"),
        said("UNAUTHENTICATED"),
        said("RESOURCE_DOES_NOT_EXIST", "No experiment"),
        said("a word of tomorrow"),
        said("BAD_REQUEST", "Can't reconnect until invalid transaction is rolled back."),
        MlflowException(f"{ENDPOINT} 400 != 200. Response body: 'plain HTTP request was sent to HTTPS port'"),
        MlflowException(f"{ENDPOINT} 401 != 200. Response body: 'You are not authenticated.'"),
        MlflowException(f"{ENDPOINT} 404 != 200. Response body: 'Not Found'"),
        MlflowException(f"{ENDPOINT} 502 != 200. Response body: '<html>'"),
        MlflowException("API request to endpoint was successful but the response body was not in a valid JSON format"),
        caused(MlflowException("no", error_code=codes.INVALID_PARAMETER_VALUE), requests.ReadTimeout("30 s")),
        caused(MlflowException("locked"), sqlalchemy.exc.OperationalError("INSERT", {}, Exception("locked"))),
        answered(403),
        answered(503),
        OSError(errno.ENOSPC, "No space left on device"),
        ConnectionResetError(),
        AdapterError("The experiment was deleted.", passing=True),
    ],
    ids=str,
)
def test_what_speaks_of_anything_else_is_an_outage(error: Exception) -> None:
    """It is told again, and nothing that comes after is told before."""
    assert not is_refusal(error)
