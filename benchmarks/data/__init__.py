"""Data: its versions, and what differs between them."""
