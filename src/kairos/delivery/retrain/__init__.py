"""When to train anew: a pure decision from what waiting has cost, alarms, age, and what was tried before.

Five questions, a file each: what has waiting cost (``regret``), how fast does a model age (``age``), what asks for a
new model (``reasons``), what holds it back (``storms``), and what becomes of it all (``decide``). What goes in, and
what the ledger keeps of it, are ``policy`` and ``facts``.
"""

from __future__ import annotations

from kairos.delivery.retrain.decide import RetrainDecision, decide_retrain
from kairos.delivery.retrain.facts import Reading, RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy

__all__ = ["Reading", "RetrainDecision", "RetrainFacts", "RetrainPolicy", "decide_retrain"]
