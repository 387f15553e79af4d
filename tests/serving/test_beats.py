"""Signs of life: who stands still is found out, and nobody else is suspected."""

from __future__ import annotations

from pathlib import Path

from kairos.serving.beats import LOADING_FACTOR, Beats, Watch


def silent_s(watch: Watch, beats: list[int], *, is_loading: bool = False, look_s: float = 0.1) -> float | None:
    """After how many seconds the watch is over, for beats as they are seen at each look; ``None``: never."""
    for look, each in enumerate(beats):
        if watch.is_over(each, is_loading=is_loading, now_s=look * look_s):
            return look * look_s
    return None


def test_a_loop_that_stands_still_is_found_within_its_patience() -> None:
    """Neither sooner, nor much later; one that turns slowly is left alone."""
    assert silent_s(Watch(1.0), [7] * 30) == 1.0
    assert silent_s(Watch(1.0), [*range(10), *[10] * 30]) == 2.0
    assert silent_s(Watch(1.0), [look // 9 for look in range(100)]) is None


def test_who_loads_a_version_is_given_more_time() -> None:
    """Unpickling may keep the interpreter to itself; but not for ever."""
    assert silent_s(Watch(1.0), [7] * 10 * LOADING_FACTOR, is_loading=True) is None
    assert silent_s(Watch(1.0), [7] * 20 * LOADING_FACTOR, is_loading=True) is not None


def test_where_the_whole_machine_stood_still_nobody_is_suspected() -> None:
    """A laptop that slept, a container that was frozen: the looks are far apart as well."""
    assert silent_s(Watch(1.0), [7, 7, 8, 9], look_s=3600.0) is None


def test_each_worker_has_a_place_that_others_see(tmp_path: Path) -> None:
    """Through the file, and without touching the others'."""
    ours, theirs = Beats(tmp_path / "beats", count=3), Beats(tmp_path / "beats", count=3)
    ours.beat(1)
    ours.beat(1)
    ours.loading(1, True)
    ours.beat(1)
    assert [theirs.read(number) for number in range(3)] == [(0, False), (3, True), (0, False)]
    theirs.loading(1, False)
    assert ours.read(1) == (3, False)
    ours.close()
    theirs.close()
