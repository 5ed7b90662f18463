"""The requests before they have an id."""

import time
import uuid

from walletd.client import new_command_id


def test_a_command_id_is_a_uuid_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_command_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 1000
    for command_id in ids:
        made = uuid.UUID(command_id)
        assert (made.version, made.variant, made.hex) == (7, uuid.RFC_4122, command_id)
        assert before <= made.int >> 80 <= after
