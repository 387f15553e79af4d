"""What a remote lacks of what is here, and what is only there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kairos.errors import StoreError
from kairos.store.blobs import Store
from kairos.store.moves import failed
from kairos.store.places import Place
from kairos.store.presence import gather, look
from kairos.store.shards import Digests
from kairos.store.trying import Patience, Trying
from kairos.values import Digest

__all__ = ["Difference", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Difference:
    """Which blobs are on one side only, as ``dvc status --cloud`` tells them."""

    new: Digests
    """Here, and not at the remote."""
    deleted: Digests
    """At the remote, and not here."""
    missing: Digests
    """Neither here nor there."""


def compare(
    store: Store, place: Place, roots: Iterable[Digest], *, jobs: int = 16, patience: Patience | None = None
) -> Difference:
    """What of these files and folders is on one side only; of a folder whose listing is not here, that alone.

    Raises:
        RemoteFailed: the remote cannot be asked.
    """
    new, deleted, missing = Digests(), Digests(), Digests()
    with Trying(jobs, patience or Patience(), place.abandon) as trying:
        try:
            for digest, size_bytes in look(place, trying, gather(store, roots)):
                if store.holds(digest):
                    if size_bytes is None:
                        new.add(digest)
                else:
                    (missing if size_bytes is None else deleted).add(digest)
        except StoreError:
            raise
        except OSError as error:
            raise failed(error, "Nothing was changed.") from error
    return Difference(new=new, deleted=deleted, missing=missing)
