"""Privacy: what may be kept of a request, and how it can be forgotten.

Identifiers and free text are never kept as they came unless named. Erasure (``kairos.privacy.erasure``) needs an extra,
and is not loaded from here.
"""

from __future__ import annotations

from kairos.privacy.capture import Captured, CapturePolicy, Scalar
from kairos.privacy.pseudonyms import load_or_make_key, pseudonym

__all__ = ["CapturePolicy", "Captured", "Scalar", "load_or_make_key", "pseudonym"]
