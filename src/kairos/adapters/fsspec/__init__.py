"""Remotes that are reached over a network: object stores, SSH, HTTP and WebDAV, each through its engine of fsspec."""

from __future__ import annotations

from kairos.adapters.fsspec.engines import open_place

__all__ = ["open_place"]
