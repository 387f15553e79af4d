"""Evidence and policy in, verdict out: should the challenger replace what is live? Pure, and recomputable to the byte.

``metrics`` and ``losses`` say how good answers are, ``measure`` makes evidence of two models' answers on the same rows,
``policy`` is what the project asks for, ``decide`` puts the two together, and ``telling`` says it to people. This
package itself loads no numpy.
"""

from __future__ import annotations

from kairos.gates.policy import GatePolicy, Margin

__all__ = ["GatePolicy", "Margin"]
