"""The program that a replay starts beside itself: ``python -m kairos.app.backtest``."""

from __future__ import annotations

import sys

from kairos.app.backtest.fixed import main

if __name__ == "__main__":
    main(*sys.argv[1:])
