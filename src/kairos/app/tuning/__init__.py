"""`kairos tune`: trials on rows that the search may see, and the best of them judged once on rows that it never saw."""

from kairos.app.tuning.events import Ended, Event, Judges, Opened, Prepares, Tuned, Waits
from kairos.app.tuning.searching import tune

__all__ = ["Ended", "Event", "Judges", "Opened", "Prepares", "Tuned", "Waits", "tune"]
