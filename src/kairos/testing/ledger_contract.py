"""What every ledger promises, as tests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from kairos.errors import LedgerMoved, UsageError
from kairos.ledger import GENESIS, Entry, Fact, Ledger, entry_hash

__all__ = ["LedgerContract"]

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)


def write(ledger: Ledger, number: int = 1, *, kind: str = "finding", at: datetime = MARCH) -> Entry:
    """Appends a fact whose body holds the number."""
    return ledger.append(kind, subject=f"demand@{number}", body={"number": number}, actor="test", at=at)


class LedgerContract:
    """Subclass it under a name that begins with ``Test``, with a fixture ``open_ledger``.

    The fixture returns a function that opens the ledger: an empty one at first, and the same one each time.
    """

    def test_it_starts_empty_and_intact(self, open_ledger: Callable[[], Ledger]) -> None:
        """Nothing to read, head 0, a verification that finds nothing wrong."""
        ledger = open_ledger()
        assert ledger.head() == 0
        assert list(ledger.read()) == []
        assert ledger.verify().is_intact
        assert ledger.verify().head == GENESIS

    def test_an_entry_comes_back_as_it_was_written(self, open_ledger: Callable[[], Ledger]) -> None:
        """By whoever opens the ledger, in the plain form of its body, times in UTC."""
        at = datetime.fromisoformat("2012-03-03T13:00:00.000001+01:00")
        body = {"psi": float("nan"), "levels": ("a", None), "ok": True, "count": 1, "rate": 1.0, "text": "ü"}
        written = open_ledger().append("finding", subject="demand", body=body, actor="ann", at=at)
        assert list(open_ledger().read()) == [written]
        assert written.seq == 1
        assert written.at == at
        assert written.at.utcoffset() == timedelta(0)
        assert written.body == {**body, "psi": {"$float": "nan"}, "levels": ["a", None]}
        assert [type(value) for value in (written.body["count"], written.body["rate"])] == [int, float]

    def test_every_entry_names_the_hash_of_the_one_before(self, open_ledger: Callable[[], Ledger]) -> None:
        """And its own hash is that of its fields, so that any reader can recompute the chain."""
        ledger, prev = open_ledger(), GENESIS
        for number in range(1, 4):
            entry = write(ledger, number)
            assert entry.seq == number
            assert entry.prev == prev
            assert entry.hash == entry_hash(
                seq=entry.seq,
                at=entry.at,
                kind=entry.kind,
                subject=entry.subject,
                actor=entry.actor,
                body=entry.body,
                prev=entry.prev,
            )
            prev = entry.hash
        assert ledger.verify().head == prev
        assert ledger.verify().entries == ledger.head() == 3

    def test_reading_filters_by_position_time_kind_and_subject(self, open_ledger: Callable[[], Ledger]) -> None:
        """In the order of writing, whatever the times say; ``until`` includes its moment, and gives a prefix."""
        ledger = open_ledger()
        for number, day in enumerate([3, 1, 2], start=1):
            write(ledger, number, at=MARCH + timedelta(days=day), kind="a" if number == 2 else "b")
        assert [entry.seq for entry in ledger.read()] == [1, 2, 3]
        assert [entry.seq for entry in ledger.read(after=1)] == [2, 3]
        assert [entry.seq for entry in ledger.read(until=MARCH + timedelta(days=2))] == [1, 2, 3]
        assert [entry.seq for entry in ledger.read(until=MARCH + timedelta(days=1))] == [1, 2]
        assert [entry.seq for entry in ledger.read(until=MARCH)] == []
        assert [entry.seq for entry in ledger.read(until=MARCH + timedelta(days=1), kinds=["b"])] == [1]
        assert [entry.seq for entry in ledger.read(kinds={"a", "c"})] == [2]
        assert [entry.seq for entry in ledger.read(kinds=())] == []
        assert [entry.seq for entry in ledger.read(subject="demand@3")] == [3]
        assert [entry.seq for entry in ledger.read(after=1, limit=1)] == [2]
        assert [entry.seq for entry in ledger.read(kinds=["b"], limit=5)] == [1, 3]

    def test_a_decision_on_old_facts_is_refused(self, open_ledger: Callable[[], Ledger]) -> None:
        """Of two writers that expect the same head, the second writes nothing."""
        one, two = open_ledger(), open_ledger()
        head = one.head()
        one.append("a", subject="s", body={}, actor="one", at=MARCH, expect=head)
        with pytest.raises(LedgerMoved):
            two.append("a", subject="s", body={}, actor="two", at=MARCH, expect=head)
        assert [entry.actor for entry in two.read()] == ["one"]

    def test_facts_that_are_only_true_together_are_written_together(self, open_ledger: Callable[[], Ledger]) -> None:
        """One after the other, linked; if the last one cannot be written or the ledger has moved, none is."""
        ledger = open_ledger()
        head = write(ledger).seq
        facts = [Fact(kind="a", subject=f"demand@{number}", body={"number": number}) for number in (1, 2)]
        first, second = ledger.append_all(facts, actor="ann", at=MARCH, expect=head)
        assert [(e.seq, e.subject, e.body) for e in (first, second)] == [
            (head + 1, "demand@1", {"number": 1}),
            (head + 2, "demand@2", {"number": 2}),
        ]
        assert second.prev == first.hash
        with pytest.raises(LedgerMoved):
            ledger.append_all(facts, actor="ann", at=MARCH, expect=head)
        with pytest.raises(UsageError):
            ledger.append_all([facts[0], Fact(kind="a", subject="s", body={"v": object()})], actor="ann", at=MARCH)
        assert ledger.head() == second.seq
        assert ledger.verify().is_intact

    def test_what_cannot_be_written_leaves_no_trace(self, open_ledger: Callable[[], Ledger]) -> None:
        """A body without a plain form, and a time without a zone."""
        ledger = open_ledger()
        with pytest.raises(UsageError):
            ledger.append("a", subject="s", body={"value": object()}, actor="test", at=MARCH)
        with pytest.raises(UsageError):
            write(ledger, at=MARCH.replace(tzinfo=None))
        assert ledger.head() == 0
        assert write(ledger).seq == 1

    def test_writers_at_the_same_time_make_one_chain(self, open_ledger: Callable[[], Ledger]) -> None:
        """No entry is lost, none is there twice, and the chain is whole."""

        def work(number: int) -> None:
            write(open_ledger(), number)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(20)))
        ledger = open_ledger()
        assert sorted(entry.body["number"] for entry in ledger.read()) == list(range(20))
        assert ledger.verify().is_intact
