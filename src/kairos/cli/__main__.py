"""``python -m kairos.cli``: the same as ``kairos``."""

from __future__ import annotations

from kairos.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
