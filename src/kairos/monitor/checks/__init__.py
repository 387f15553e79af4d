"""The checks: pure functions from values to findings. Each module holds one."""

from __future__ import annotations

__all__: list[str] = []
