"""Whether Faust and aiokafka still have to be worked around: streams/transport.py, and the topic in streams/source.py.

When one of these fails, it is mended there: the override that its docstring names can go.
"""

import inspect
from types import SimpleNamespace
from typing import Any

import aiokafka.consumer.group_coordinator as coordinator
import faust
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

SOURCE = TP("creator-events", 0)


def test_faust_forgets_how_long_the_queue_of_a_topic_may_be_still() -> None:
    """`topic.maxsize` in Source."""
    app = faust.App("a", broker="kafka://127.0.0.1:1")
    assert app.topic("t", maxsize=7).maxsize is None


def test_faust_has_no_setting_for_what_its_consumer_is_told_still() -> None:
    """`_Thread._create_worker_consumer`: the wait of a fetch, the assignor, records of transactions that are void."""
    made = inspect.getsource(driver.AIOKafkaConsumerThread._create_worker_consumer)
    assert "fetch_max_wait_ms=1500" in made
    assert "else RoundRobinPartitionAssignor" in made
    assert 'isolation_level: str = "read_uncommitted"' in made


def test_faust_makes_an_idempotent_producer_with_transactions_only_still() -> None:
    """`_Producer._settings_extra`."""
    its: list[Any] = [SimpleNamespace(app=SimpleNamespace(in_transaction=yes)) for yes in (False, True)]
    assert [driver.Producer._settings_extra(each) for each in its] == [{}, {"acks": "all", "enable_idempotence": True}]


def test_faust_stops_fetching_a_partition_whose_queue_is_full_still() -> None:
    """`_Consumer.on_buffer_full`: with none left to fetch, its fetcher sleeps for a second."""
    active = {SOURCE}
    its = SimpleNamespace(
        app=SimpleNamespace(in_recovery=False), _get_active_partitions=lambda: active, _buffered_partitions=set()
    )
    consumer.Consumer.on_buffer_full(its, SOURCE)
    assert active == set()


def test_faust_closes_the_consumer_from_the_wrong_thread_after_a_stop_still() -> None:
    """`SourceApp._on_rebalance_when_stopped`."""
    closed: list[bool] = []
    its = SimpleNamespace(consumer=SimpleNamespace(close=lambda: closed.append(True)))
    faust.App._on_rebalance_when_stopped(its)
    assert closed == [True]


def test_faust_drops_what_is_read_again_after_a_seek_back_still() -> None:
    """`_read_offset` in `_Consumer._to_message`."""
    drains = inspect.getsource(consumer.Consumer._drain_messages)
    assert "if r_offset is None or offset >= r_offset" in drains


def test_faust_watches_a_stream_by_its_acknowledgements_still() -> None:
    """`_Consumer.verify_event_path`: the source has none."""
    assert "acks_enabled_for" in inspect.getsource(driver.AIOKafkaConsumerThread.verify_event_path)


def test_aiokafka_never_tells_the_sticky_assignor_of_a_generation_still() -> None:
    """`_Consumer.on_partitions_assigned`."""
    assert hasattr(StickyPartitionAssignor, "on_generation_assignment")
    assert "on_generation_assignment" not in inspect.getsource(coordinator)
