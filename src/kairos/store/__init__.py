"""Bytes by content in DVC's layout, tables, append-only journals and the prediction log.

Cheap names only are re-exported here; ``kairos.store.tables`` and ``kairos.store.predictions`` need Polars and are
imported by their own names.
"""

from __future__ import annotations

from kairos.store.blobs import Store
from kairos.store.verifying import Damage

__all__ = ["Damage", "Store"]
