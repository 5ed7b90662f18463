"""Many wallets, opened as fast as the daemon takes them."""

import json
import signal
import time
from typing import Any

from wire import request

from daemon import Daemon


def million(daemon: Daemon, count: int) -> dict[str, Any]:
    """Open so many wallets; memory meanwhile, and the time to start afterwards."""
    connection = daemon.connect()
    before, opened, sent = daemon.memory(), 0, 0
    began = time.perf_counter()
    at_warm = 0
    while opened < count:
        if sent < count and sent - opened < 2000:
            numbers = range(sent, min(sent + 500, count))
            sent = numbers[-1] + 1
            connection.send([_opening(n) for n in numbers])
        for message in connection.take():
            if b'"result"' in message:
                opened += 1
            else:  # Overloaded: nothing was decided, so the same command is sent again.
                connection.send([_opening(int(json.loads(message)["id"]))])
        if not at_warm and opened >= 20_000:
            at_warm = daemon.memory()
    seconds = time.perf_counter() - began
    after = daemon.memory()
    connection.close()
    results = {
        "wallets": count,
        "opened_per_second": count / seconds,
        "bytes_per_warm_wallet": (at_warm - before) / 20_000,
        "memory_mb": after / 1e6,
        "bytes_on_disk_per_entry": (daemon.data / "journal.db").stat().st_size / count,
    }
    daemon.stop()
    results["start_after_clean_stop_s"] = daemon.start()
    daemon.stop(signal.SIGKILL)
    results["start_after_kill_s"] = daemon.start()
    daemon.stop()
    for file in daemon.data.glob("state.db*"):
        file.unlink()
    results["start_with_rebuild_s"] = daemon.start()
    daemon.stop()
    return results


def _opening(number: int) -> bytes:
    return request(number, "wallet.open", {"command_id": f"o-{number}", "wallet": f"w{number}"})
