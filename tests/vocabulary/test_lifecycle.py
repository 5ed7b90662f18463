"""The daemon's life: which states lead where."""

from walletd.vocabulary.states import PERMITTED_MOVES, DaemonState

ENDS = {DaemonState.STOPPED, DaemonState.FAILED}


def reachable(start: DaemonState) -> set[DaemonState]:
    """Every state that can follow, at once or later."""
    found: set[DaemonState] = set()
    ahead = [start]
    while ahead:
        for state in PERMITTED_MOVES[ahead.pop()] - found:
            found.add(state)
            ahead.append(state)
    return found


def test_every_state_can_come_after_the_start() -> None:
    assert reachable(DaemonState.STARTING) | {DaemonState.STARTING} == set(DaemonState)


def test_no_state_leads_back_to_the_start_or_to_itself() -> None:
    for state, moves in PERMITTED_MOVES.items():
        assert DaemonState.STARTING not in moves
        assert state not in moves


def test_every_life_can_end_well_and_can_fail_from_anywhere_but_an_end() -> None:
    for state in set(DaemonState) - ENDS:
        assert DaemonState.FAILED in PERMITTED_MOVES[state]
        assert DaemonState.STOPPED in reachable(state)


def test_nothing_follows_an_end() -> None:
    assert all(not PERMITTED_MOVES[state] for state in ENDS)


def test_who_drains_does_not_serve_again() -> None:
    assert DaemonState.SERVING not in reachable(DaemonState.DRAINING)
