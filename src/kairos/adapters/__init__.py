"""Outside libraries made to fit our ports, one folder each. Only ``app`` loads them, by name, through entry points."""

from __future__ import annotations
