from __future__ import annotations

from airflow_provider_amc.emulator.slots import Slots


def test_so_many_on_an_instance_and_on_the_account() -> None:
    slots = Slots(2, 3)
    assert [slots.take("a", 5.0), slots.take("a", 6.0), slots.take("a", 7.0)] == [5.0, 6.0, None]
    assert [slots.take("b", 7.0), slots.take("b", 8.0)] == [7.0, None]
    slots.free("a", 20.0)
    assert slots.take("b", 8.0) == 20.0


def test_what_waited_starts_when_a_slot_became_free() -> None:
    slots = Slots(2, 200)
    slots.take("a", 0.0)
    slots.take("a", 0.0)
    slots.free("a", 50.0)
    slots.free("a", 40.0)
    assert [slots.take("a", 10.0), slots.take("a", 60.0), slots.take("a", 60.0)] == [40.0, 60.0, None]
