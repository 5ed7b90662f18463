"""Turn balances of another system into files for ``walletd batch``.

    psql --csv -c "SELECT user_id AS wallet, currency AS asset, balance_cents AS units FROM balance" > balances.csv
    python examples/balances_to_batch.py balances.csv --into import
    walletd batch import/0001.jsonl --each --command-id import-0001

The first line names the columns ``wallet``, ``asset`` and ``units``: whole numbers of the asset's smallest unit.  Each
wallet is opened once, and what it has comes in from @external.  Every command has an id made of the wallet and the
asset, so that a file may be sent again, and so may a file that is made again of the same balances.
"""

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

COMMANDS_PER_FILE = 1000
"""As many as one batch takes."""

COLUMNS = ("wallet", "asset", "units")


class Balance(NamedTuple):
    """What one wallet has of one asset, in smallest units."""

    wallet: str
    asset: str
    units: int


def balances_in(source: TextIO) -> Iterator[Balance]:
    """The rows, checked.  Ends the program with a sentence about the first that is wrong."""
    rows = csv.DictReader(source)
    if missing := set(COLUMNS) - set(rows.fieldnames or ()):
        sys.exit(f"the first line must name the columns {', '.join(COLUMNS)}; {', '.join(sorted(missing))} is missing")
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(rows, 2):
        wallet, asset, units = (str(row[name] or "").strip() for name in COLUMNS)
        if not units.removeprefix("-").isdecimal():
            sys.exit(f"line {number}: {units!r} is not a whole number of smallest units")
        if int(units) < 0:
            sys.exit(f"line {number}: {wallet} owes {units}; settle it first, or open the wallet with a credit limit")
        if (wallet, asset) in seen:
            sys.exit(f"line {number}: {wallet} has a second balance of {asset}")
        seen.add((wallet, asset))
        yield Balance(wallet, asset, int(units))


def commands_for(balances: Iterator[Balance]) -> Iterator[dict[str, object]]:
    """An opening for each wallet, and a transfer for each balance that is not zero."""
    opened: set[str] = set()
    for wallet, asset, units in balances:
        if wallet not in opened:
            opened.add(wallet)
            yield {"method": "wallet.open", "command_id": command_id(wallet), "wallet": wallet}
        if units:
            yield {
                "method": "transfer.post",
                "command_id": command_id(f"{wallet} {asset}"),
                "postings": [{"from": "@external", "to": wallet, "asset": asset, "amount": str(units)}],
                "reference": "opening balance",
            }


def command_id(subject: str) -> str:
    """The same id for the same subject, however long its name is."""
    return f"import-{hashlib.sha256(subject.encode()).hexdigest()[:40]}"


def main() -> None:
    """Write the files, and say what they bring in."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("balances", type=Path, help="a CSV file with the columns wallet, asset and units")
    parser.add_argument("--into", type=Path, default=Path("import"), help="the folder for the files; made if need be")
    arguments = parser.parse_args()
    with arguments.balances.open(newline="") as source:
        commands = list(commands_for(balances_in(source)))
    arguments.into.mkdir(parents=True, exist_ok=True)
    totals: dict[str, int] = {}
    for command in commands:
        for posting in command.get("postings", ()):  # type: ignore[attr-defined]
            totals[posting["asset"]] = totals.get(posting["asset"], 0) + int(posting["amount"])
    for start in range(0, len(commands), COMMANDS_PER_FILE):
        path = arguments.into / f"{start // COMMANDS_PER_FILE + 1:04}.jsonl"
        path.write_text("".join(json.dumps(command) + "\n" for command in commands[start : start + COMMANDS_PER_FILE]))
        sys.stdout.write(f"{path}\n")
    for asset, total in sorted(totals.items()):
        sys.stdout.write(f"{asset}: {total} in all\n")


if __name__ == "__main__":
    main()
