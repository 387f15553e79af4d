"""The server's side of a connection of HTTP/2, as ``h2`` keeps it, with what it says first."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from kairos.serving.connections.limits import LARGEST_HEAD_BYTES, MOST_STREAMS

__all__ = ["server_side"]

_WINDOW_BYTES = 1 << 20
"""What a connection may send before any of it is read, over all its requests; of one request it is 64 KiB."""

_SETTINGS = {SettingCodes.MAX_HEADER_LIST_SIZE: LARGEST_HEAD_BYTES}

_CONFIG = H2Configuration(
    client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
)


def server_side() -> H2Connection:
    """A connection whose greeting is ready to be sent."""
    made = H2Connection(_CONFIG)
    # The number of streams comes apart from the first settings: h2 holds clients to those before they can know them.
    made.local_settings = Settings(client=False, initial_values=_SETTINGS)
    made.initiate_connection()
    made.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS})
    made.increment_flow_control_window(_WINDOW_BYTES - made.inbound_flow_control_window)
    return made
