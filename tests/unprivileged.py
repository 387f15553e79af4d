"""Commands of somebody whom permissions stop, also where the tests are the superuser's."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["NO_PRIVILEGE", "needs_permissions"]

NO_PRIVILEGE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Before a command of the superuser, whom no permission stops otherwise."""

needs_permissions = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="the superuser may write everywhere, without setpriv"
)
