"""When to train anew: a pure decision from what waiting has cost, alarms, age, and what was tried before.

Six questions, a file each: what has waiting cost (``regret``), how fast does a model age (``age``), from how long ago
should it learn (``windows``), what asks for a new model (``reasons``), what holds it back (``storms``), and what
becomes of it all (``decide``). What goes in, and what the ledger keeps of it, are ``policy``, ``readings`` and
``facts``.

Nothing is imported here: whoever reads settings needs the policy alone, and not scipy.
"""
