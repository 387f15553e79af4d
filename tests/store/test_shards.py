"""Many digests in little memory: a set, whatever is done to it."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from kairos.store.shards import Digests, Shards, lacking
from kairos.values import Digest

DIGESTS = some.sampled_from(
    [Digest(hashlib.md5(b"%d" % n).hexdigest() + (".dir" if n % 5 == 0 else "")) for n in range(40)]
)
SETS = some.lists(DIGESTS, max_size=30)


@given(SETS, SETS)
def test_they_are_as_a_set(first: list[Digest], second: list[Digest]) -> None:
    """Members, number, union and what is beyond another; folders come first, each sorted, each once."""
    one, other = Digests(first), Digests(second)
    assert (len(one), set(one)) == (len(set(first)), set(first))
    assert list(one) == sorted(one, key=lambda digest: (not digest.endswith(".dir"), digest))
    assert all((digest in one) == (digest in first) for digest in second)
    assert set(one.beyond(other)) == set(first) - set(second)
    one.update(other)
    assert set(one) == {*first, *second}


def test_the_same_again_and_again_takes_no_memory() -> None:
    """Thirty versions of 20,000 files that hardly differ take what a few take: 16 bytes a file, and some air."""
    version = Shards()
    version.add(hashlib.md5(b"%d" % n).hexdigest() for n in range(20_000))
    tracemalloc.start()
    try:
        whole = Shards()
        for _ in range(30):
            whole.update(version)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(whole) == 20_000
    assert held < 3 * 16 * 20_000 + 256 * 5_000


def test_what_a_store_lacks_is_told(tmp_path: Path) -> None:
    """Whether its folder is there or not, and whether it is listed or asked."""
    wanted = Shards()
    digests = [Digest(hashlib.md5(b"%d" % n).hexdigest()) for n in range(50)]
    wanted.add(digests)
    for digest in digests[:20]:
        (tmp_path / digest[:2]).mkdir(exist_ok=True)
        (tmp_path / digest[:2] / digest[2:]).touch()
    assert list(lacking(tmp_path, wanted)) == sorted(digests[20:])
