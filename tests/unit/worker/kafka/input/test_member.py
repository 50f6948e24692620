"""The metadata that fences a worker whose partitions went to another."""

import pytest

from emotag_worker.errors import BatchAborted
from emotag_worker.kafka.input.member import Member
from tests.unit.worker.kafka.scripted import ScriptedConsumer, source_of


def joined() -> tuple[ScriptedConsumer, Member]:
    """A consumer that has joined its group, and its membership at a poll."""
    consumer = ScriptedConsumer([])
    source = source_of(consumer)
    source.subscribe(before_revoke=lambda: None, when_lost=dict)
    return consumer, source.member()


def test_the_metadata_is_that_of_the_poll() -> None:
    _, member = joined()
    assert "member, generation 1" == member.group_metadata()


def test_a_later_generation_of_the_same_membership_is_used() -> None:
    """Brokers refuse the earlier one, and each member that joins would abort a transaction of all others."""
    consumer, member = joined()
    consumer.generation = 2
    assert "member, generation 2" == member.group_metadata()


def test_a_later_membership_does_not_write_what_an_earlier_one_read() -> None:
    """Another worker may have processed it in between. The brokers refuse the earlier membership."""
    consumer, member = joined()
    consumer.member_id, consumer.generation = "new member", 7
    assert "member, generation 1" == member.group_metadata()


def test_a_worker_that_was_removed_from_its_group_writes_with_the_metadata_of_the_poll() -> None:
    """Its client reports no member, and brokers accept that of a group that has become empty."""
    consumer, member = joined()
    consumer.callbacks = {}
    assert "member, generation 1" == member.group_metadata()


def test_records_that_were_polled_after_the_removal_are_not_written() -> None:
    """The client can return records that it had fetched before."""
    consumer = ScriptedConsumer([])
    source = source_of(consumer)
    source.subscribe(before_revoke=lambda: None, when_lost=dict)
    consumer.callbacks = {}
    with pytest.raises(BatchAborted, match="removed this worker"):
        source.member().group_metadata()
