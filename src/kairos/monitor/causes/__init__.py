"""From an alarm to its cause: what changed upstream, when, and how much of the harm it accounts for.

``evidence`` says what is looked at, ``columns`` what became of each input, ``differences`` what came with a deployment,
``blame`` parts the harm, ``decide`` ranks, ``words`` tells. Nothing here reads a ledger or a log.
"""

from __future__ import annotations

__all__: list[str] = []
