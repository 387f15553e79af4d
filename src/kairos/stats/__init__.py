"""Pure statistics, one idea per file: numpy arrays or counts in, frozen values out.

Nothing here reads a file, a clock or a random generator. Import the module you need (``from kairos.stats.paired import
paired_mean``): this package itself loads neither numpy nor scipy, so that ``import kairos`` stays quick.
"""

from __future__ import annotations

__all__: list[str] = []
