"""Row 19, in virtual time: a node whose lease another has taken answers nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.faults.leases import BUGS, violations
from tests.faults.rows import figure
from tests.faults.tally import tally

TAKES = figure("TEST_LEASES")

pytestmark = pytest.mark.interpreted


def test_only_the_node_that_has_the_lease_answers(seed: int) -> None:
    assert violations(seed, TAKES) == []
    tally(leases=TAKES)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(seed: int, bug: Callable[[], AbstractContextManager[None]]) -> None:
    with bug():
        assert violations(seed, TAKES) != []
