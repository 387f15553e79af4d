"""How often decisions are wrong, and how quick they are, in worlds where the truth is known."""
