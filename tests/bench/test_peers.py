"""The peers' ledgers do what walletd is compared with: else the comparison would be worth nothing."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.postgres import Postgres
from bench.sqlite_peer import SqlitePeer

from bench import postgres

WALLETS = 20
FUNDS = 10**12
TOO_MUCH = 2 * FUNDS


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if postgres.programs() is None:
        if os.environ.get("TEST_REQUIRE") == "all":
            pytest.fail(postgres.ABSENT)
        pytest.skip(postgres.ABSENT)
    # Not below pytest's own folder, which is for one user alone.
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Postgres(Path(directory), WALLETS) as server:
        yield server


def wallet(server: Postgres, number: int) -> tuple[int, int, int]:
    posted, held, version = server.ask(f"SELECT posted, held, version FROM wallet WHERE id = {number}").split("|")
    return int(posted), int(held), int(version)


def is_sound(server: Postgres) -> bool:
    """The money is all there, and every wallet is what its postings add up to, without a gap."""
    odd = server.ask(
        f"SELECT w.id FROM wallet w LEFT JOIN posting p ON p.wallet = w.id GROUP BY w.id "
        f"HAVING w.posted <> {FUNDS} + coalesce(sum(p.amount), 0) OR w.version <> count(p.version) "
        f"OR w.version <> coalesce(max(p.version), 0)"
    )
    wrong = server.ask(
        "SELECT count(*) FROM (SELECT posted_after - amount - coalesce(lag(posted_after) OVER step, "
        f"{FUNDS}) AS jump FROM posting WINDOW step AS (PARTITION BY wallet ORDER BY version)) j WHERE jump <> 0"
    )
    return not odd and wrong == "0" and server.ask("SELECT sum(posted) FROM wallet") == str(WALLETS * FUNDS)


def test_fsync_and_synchronous_commit_are_on(server: Postgres) -> None:
    assert [server.ask(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3


def test_a_command_works_once_and_keeps_its_outcome(server: Postgres) -> None:
    before, refused = wallet(server, 0)[0], server.refused()
    assert server.ask("SELECT transfer(1, 0, 1, 5)") == ""
    assert server.ask("SELECT transfer(1, 0, 1, 5)") == ""
    assert wallet(server, 0)[0] == before - 5
    assert server.ask(f"SELECT transfer(2, 0, 1, {TOO_MUCH})") == "insufficient_funds"
    assert server.ask("SELECT transfer(2, 0, 1, 1)") == "insufficient_funds"
    assert wallet(server, 0)[0] == before - 5
    assert server.refused() == refused + 1


def test_a_velocity_limit_refuses_what_is_too_much(server: Postgres) -> None:
    server.ask("UPDATE velocity SET most = 7 WHERE wallet = 2")
    outcomes = [server.ask(f"SELECT limited_transfer({number}, 2, 3, 3)") for number in (10, 11, 12)]
    assert outcomes == ["", "", "velocity_exceeded"]


def test_a_hold_reserves_and_is_captured_once(server: Postgres) -> None:
    posted = wallet(server, 4)[0]
    assert server.ask(f"SELECT place_hold(20, 4, {posted})") == ""
    assert server.ask("SELECT transfer(21, 4, 5, 1)") == "insufficient_funds"
    assert server.ask("SELECT capture_hold(22, 20, 5)") == ""
    assert server.ask("SELECT capture_hold(23, 20, 5)") == "hold_not_open"
    assert wallet(server, 4)[:2] == (0, 0)
    assert server.ask(f"SELECT transfer(24, 5, 4, {posted})") == ""


def test_batches_move_all_or_what_can_be_paid(server: Postgres) -> None:
    each = f"SELECT transfer_each(ARRAY[30, 31]::bigint[], ARRAY[6, 6], ARRAY[7, 7], ARRAY[1, {TOO_MUCH}]::bigint[])"
    assert server.ask(each) == "1"
    with pytest.raises(SystemExit, match="insufficient_funds"):
        server.ask(each.replace("transfer_each", "transfer_all").replace("30, 31", "32, 33"))
    assert server.ask("SELECT transfer_all(ARRAY[34, 35]::bigint[], ARRAY[6, 7], ARRAY[7, 6], ARRAY[2, 3]::bigint[])")
    assert wallet(server, 6)[0] == FUNDS - 1 - 2 + 3


@pytest.mark.parametrize("what", [*postgres.SCRIPTS, "mixed"])
def test_every_script_of_pgbench_runs_without_a_failure_and_leaves_sound_books(server: Postgres, what: str) -> None:
    server.ask("UPDATE velocity SET most = 1000000000")
    row = server.run(what, "scenario", clients=4, seconds=1)
    assert row.per_second > 0
    assert row.refused == 0
    assert row.p50_ms > 0
    assert row.cpu_us is not None
    assert row.memory_mb is not None
    assert is_sound(server)


@pytest.mark.parametrize(("what", "commands"), [("transfer", 1), ("hot", 1), ("batch", 1000), ("holds", 2)])
def test_the_ledger_in_sqlite_keeps_its_money(tmp_path: Path, what: str, commands: int) -> None:
    peer = SqlitePeer(tmp_path, WALLETS)
    row = peer.run("scenario", what, seconds=0.01)
    assert row.per_second > 0
    assert peer.money() == WALLETS * FUNDS
    assert peer.commands() % commands == 0
    peer.close()
