"""``--budget NAME=NUMBER``, as people write it."""

import pytest

from walletd.cli.clients import amounts_of
from walletd.cli.usage import UsageError


def test_amounts_are_read_by_their_names() -> None:
    assert amounts_of(None) is None
    assert amounts_of(["in_flight=100", "connections=0"]) == {"in_flight": 100, "connections": 0}


@pytest.mark.parametrize("text", ["in_flight", "in_flight=", "in_flight=-1", "in_flight=1.5", "speed=3", "=3"])
def test_anything_else_is_refused_with_the_names_that_there_are(text: str) -> None:
    with pytest.raises(UsageError, match="write it like in_flight=100"):
        amounts_of([text])
