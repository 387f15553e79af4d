"""When to train anew: a pure decision from what waiting has cost, alarms, age, and what was tried before.

Six questions, a file each: what has waiting cost (``regret``), how fast does a model age (``age``), from how long ago
should it learn (``windows``), what asks for a new model (``reasons``), what holds it back (``storms``), and what
becomes of it all (``decide``). What goes in, and what the ledger keeps of it, are ``policy``, ``readings`` and
``facts``.
"""

from __future__ import annotations

from kairos.delivery.retrain.decide import RetrainDecision, decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.readings import Reading
from kairos.delivery.retrain.windows import TrainingWindow, choose_window

__all__ = [
    "Reading",
    "RetrainDecision",
    "RetrainFacts",
    "RetrainPolicy",
    "TrainingWindow",
    "choose_window",
    "decide_retrain",
]
