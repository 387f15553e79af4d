"""Contract suites for our ports, and fakes that keep them: for our own tests and those of outsiders. Needs pytest."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "kairos.testing.ledger_contract",
    "kairos.testing.package_contract",
    "kairos.testing.recorder_contract",
    "kairos.testing.runner_contract",
)

# Only what is imported after that shows its values when an assertion fails.
from kairos.testing.ledger_contract import LedgerContract  # noqa: E402
from kairos.testing.memory_recorder import MemoryRecorder  # noqa: E402
from kairos.testing.package_contract import PackageContract  # noqa: E402
from kairos.testing.pipelines import PipelineOutcome, PipelineUnderTest, pipeline_under_test  # noqa: E402
from kairos.testing.recorder_contract import RecorderContract, RecorderPlace  # noqa: E402
from kairos.testing.runner_contract import RunnerContract  # noqa: E402
from kairos.testing.troubles import TROUBLES, Trouble, TroubledStream, troubled_stream  # noqa: E402

__all__ = [
    "TROUBLES",
    "LedgerContract",
    "MemoryRecorder",
    "PackageContract",
    "PipelineOutcome",
    "PipelineUnderTest",
    "RecorderContract",
    "RecorderPlace",
    "RunnerContract",
    "Trouble",
    "TroubledStream",
    "pipeline_under_test",
    "troubled_stream",
]
