"""What policies would have lost on rows of the past, with nothing that was not known then.

``fixed`` never retrains, or does so on a beat; ``loop`` decides as Kairos does, without processes, servers and a
ledger, so that many settings can be compared; ``hindsight`` knows the future. ``past`` holds rows and fitted models.
"""

from __future__ import annotations

from kairos.app.backtest.fixed import Backtest, always_deploy, main, never_retrain

__all__ = ["Backtest", "always_deploy", "main", "never_retrain"]
