"""To be loaded last by the process that workers are forked from: it sets aside what they have in common."""

from kairos.serving.kept import keep

__all__: list[str] = []

keep()
