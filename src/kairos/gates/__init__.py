"""Evidence and policy in, verdict out: should the challenger replace what is live? Pure, and recomputable to the byte.

``losses`` says how wrong one prediction is, ``evidence`` measures two models on the same rows, ``policy`` is what the
project asks for, ``decide`` puts the two together. This package itself loads no numpy.
"""

from __future__ import annotations

from kairos.gates.policy import GatePolicy, Margin

__all__ = ["GatePolicy", "Margin"]
