"""PostgreSQL as a ledger, as fair as we can make it: one stored procedure a command, one round trip, prepared, synced.

    with Postgres(directory, wallets=200) as postgres:
        postgres.run("transfer", clients=16, seconds=5)      # {"per_second": ..., "p50_ms": ...}

It is Debian's package, with its data beside walletd's, talked to over its unix socket by pgbench in processes of its
own.  fsync and synchronous_commit are on.  A command has an id that works once; wallets are locked in order, so that
nothing deadlocks; a balance that would go below zero is refused; each transfer leaves its postings with the balances
after them.  Velocity is the exact sum over the window, by an index.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE wallet (id int PRIMARY KEY, balance bigint NOT NULL, version bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE transfer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, command_id uuid NOT NULL UNIQUE,
    time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE posting (
    transfer bigint NOT NULL, wallet int NOT NULL, amount bigint NOT NULL, balance bigint NOT NULL,
    time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX posting_of_wallet ON posting (wallet, time) INCLUDE (amount);
INSERT INTO wallet SELECT n, 1000000000000, 0 FROM generate_series(1, :wallets) n;

CREATE FUNCTION pay(command uuid, source int, dest int, sum bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE made bigint; source_after bigint; dest_after bigint; gone bigint;
BEGIN
    INSERT INTO transfer (command_id) VALUES (command) ON CONFLICT DO NOTHING RETURNING id INTO made;
    IF made IS NULL THEN
        SELECT id INTO made FROM transfer WHERE command_id = command;
        RETURN made;
    END IF;
    PERFORM 1 FROM wallet WHERE id IN (source, dest) ORDER BY id FOR UPDATE;
    IF most IS NOT NULL THEN
        SELECT coalesce(-sum(amount), 0) INTO gone FROM posting
        WHERE wallet = source AND time > clock_timestamp() - interval '1 minute' AND amount < 0;
        IF gone + sum > most THEN RAISE EXCEPTION 'velocity'; END IF;
    END IF;
    UPDATE wallet SET balance = balance - sum, version = version + 1 WHERE id = source
    RETURNING balance INTO source_after;
    IF source_after < 0 THEN RAISE EXCEPTION 'insufficient funds'; END IF;
    UPDATE wallet SET balance = balance + sum, version = version + 1 WHERE id = dest RETURNING balance INTO dest_after;
    INSERT INTO posting (transfer, wallet, amount, balance)
    VALUES (made, source, -sum, source_after), (made, dest, sum, dest_after);
    RETURN made;
END $$;

CREATE FUNCTION pay_many(commands uuid[], sources int[], dests int[], sums bigint[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE done int;
BEGIN
    PERFORM 1 FROM wallet WHERE id = ANY (sources || dests) ORDER BY id FOR UPDATE;
    WITH asked AS (
        SELECT * FROM unnest(commands, sources, dests, sums) AS t(command, source, dest, sum)
    ), made AS (
        INSERT INTO transfer (command_id) SELECT command FROM asked ON CONFLICT DO NOTHING RETURNING id, command_id
    ), moved AS (
        SELECT made.id, source, dest, sum FROM made JOIN asked ON command = command_id
    ), changed AS (
        SELECT wallet, sum(amount) AS change, count(*) AS times FROM (
            SELECT source AS wallet, -sum AS amount FROM moved UNION ALL SELECT dest, sum FROM moved
        ) both_sides GROUP BY wallet
    ), after AS (
        UPDATE wallet SET balance = balance + change, version = version + times
        FROM changed WHERE wallet.id = changed.wallet RETURNING wallet.id, wallet.balance
    )
    INSERT INTO posting (transfer, wallet, amount, balance)
    SELECT moved.id, after.id, CASE WHEN after.id = source THEN -sum ELSE sum END, after.balance
    FROM moved JOIN after ON after.id IN (source, dest);
    GET DIAGNOSTICS done = ROW_COUNT;
    IF EXISTS (SELECT 1 FROM wallet WHERE id = ANY (sources) AND balance < 0) THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    RETURN done;
END $$;
"""

CHOOSE = "\\set source random(2, :wallets)\n\\set shift random(1, :wallets - 2)\n"
OTHER = "\\set dest 2 + (:source - 2 + :shift) % (:wallets - 1)\n"
SCRIPTS = {
    "transfer": CHOOSE + OTHER + "SELECT pay(gen_random_uuid(), :source, :dest, 1, NULL);\n",
    "hot": CHOOSE + "SELECT pay(gen_random_uuid(), :source, 1, 1, 1000000000);\n",
    "batch": (
        "SELECT pay_many(array_agg(gen_random_uuid()), array_agg(s), array_agg(2 + (s - 2 + d) % (:wallets - 1)), "
        "array_agg(1::bigint)) FROM (SELECT 2 + floor(random() * (:wallets - 1))::int AS s, "
        "1 + floor(random() * (:wallets - 3))::int AS d FROM generate_series(1, 1000)) r;\n"
    ),
}
SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "200",
    "jit": "off",
}
USER = "postgres"
ABSENT = "not run: PostgreSQL is not installed (apt-get install postgresql)"


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest that is there."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path and shutil.which("pgbench") else None


class Postgres:
    """A server of its own, with the ledger in it."""

    def __init__(self, directory: Path, wallets: int) -> None:
        found = programs()
        assert found is not None
        self._programs = found
        self._wallets = wallets
        self._as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        self._data = directory / "postgres"
        self._data.mkdir()
        if self._as_user:
            shutil.chown(self._data, USER)
            for parent in self._data.parents:  # PostgreSQL does not run as root, and must reach its folder.
                if parent.stat().st_mode & 0o011 == 0:
                    parent.chmod(parent.stat().st_mode | 0o011)

    def __enter__(self) -> "Postgres":
        self._call("initdb", "-D", str(self._data), "-A", "trust", "-U", USER, "--no-sync")
        settings = [text for name, value in SETTINGS.items() for text in ("-c", f"{name}={value}")]
        command = [*self._as_user, str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self._data)]
        self._log = (self._data.parent / "postgres.log").open("wb")
        self._server = subprocess.Popen([*command, *settings], stdout=self._log, stderr=self._log)
        while subprocess.run([str(self._programs / "pg_isready"), *self._where, "-q"]).returncode != 0:
            if self._server.poll() is not None:
                raise SystemExit(f"PostgreSQL did not start: {(self._data.parent / 'postgres.log').read_text()}")
            time.sleep(0.05)
        schema = self._data.parent / "schema.sql"
        schema.write_text(SCHEMA.replace(":wallets", str(self._wallets)))
        self._call("psql", *self._where, "-U", USER, "-q", "-v", "ON_ERROR_STOP=1", "-f", str(schema))
        return self

    def __exit__(self, *error: object) -> None:
        pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGINT)
        self._server.wait()
        self._log.close()

    def run(self, name: str, clients: int, seconds: float) -> dict[str, Any]:
        """The closed loop of so many connections; a batch counts as its thousand transfers."""
        script = self._data.parent / f"{name}.sql"
        script.write_text(SCRIPTS[name])
        flags = ["-n", "-M", "prepared", "-f", str(script), "-D", f"wallets={self._wallets}", "-l"]
        log = self._data.parent / f"pgbench-{name}-{clients}"
        flags += ["--log-prefix", str(log), "-c", str(clients), "-j", str(min(clients, 4)), "-T", str(round(seconds))]
        said = self._call("pgbench", *self._where, "-U", USER, *flags, USER)
        latencies = sorted(
            int(line.split()[2]) / 1000 for file in log.parent.glob(f"{log.name}.*") for line in file.open()
        )
        found = re.search(r"tps = ([0-9.]+)", said)
        failed = re.search(r"number of failed transactions: (\d+)", said)
        assert found is not None, said
        assert failed is None or failed[1] == "0", said
        return {
            "clients": clients,
            "per_second": float(found[1]) * (1000 if name == "batch" else 1),
            "p50_ms": latencies[len(latencies) // 2],
            "p99_ms": latencies[len(latencies) * 99 // 100],
            "p999_ms": latencies[len(latencies) * 999 // 1000],
        }

    @property
    def _where(self) -> list[str]:
        return ["-h", str(self._data)]

    def _call(self, program: str, *arguments: str) -> str:
        is_servers = program == "initdb"
        command = [*(self._as_user if is_servers else []), str(self._programs / program), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if ended.returncode != 0:
            raise SystemExit(f"{program} failed: {ended.stdout}{ended.stderr}")
        return ended.stdout


def best(postgres: Postgres, name: str, counts: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """The client count at which it does most."""
    return max((postgres.run(name, clients, seconds) for clients in counts), key=lambda row: row["per_second"])
