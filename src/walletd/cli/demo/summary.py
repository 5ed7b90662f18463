"""The end of the demonstration: the work done, its speed, and the proofs."""

from collections.abc import Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from walletd.cli.demo.proof import Proof
from walletd.cli.demo.town import Town
from walletd.cli.demo.workload import Account
from walletd.cli.output import new_table

PERCENTILES = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99_9", 99.9), ("longest", 100.0))


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The work done, its speed, and the proofs; latencies in milliseconds, from request to durable answer."""

    run: str
    seed: int
    wallets: int
    connections: int
    operations: int
    applied: dict[str, int]
    refused: dict[str, int]
    replays: int
    seconds: float
    operations_per_second: float
    latency_ms: dict[str, float]
    events_seen: int
    events_expected: int
    proofs: list[Proof]
    surprises: list[str]

    @property
    def is_proven(self) -> bool:
        """True if every proof holds."""
        return all(proof.holds for proof in self.proofs)


def summary_of(
    town: Town,
    seed: int,
    connections: int,
    account: Account,
    seconds: float,
    events_seen: int,
    events_expected: int,
    proofs: list[Proof],
) -> Summary:
    """The summary of a run that took this many seconds."""
    latencies = sorted(account.latencies)
    return Summary(
        run=town.run,
        seed=seed,
        wallets=len(town.wallets),
        connections=connections,
        operations=account.operations,
        applied=dict(account.applied.most_common()),
        refused=dict(account.refused.most_common()),
        replays=account.replays,
        seconds=round(seconds, 3),
        operations_per_second=round(account.operations / seconds, 1),
        latency_ms={name: round(percentile(latencies, percent) * 1000, 2) for name, percent in PERCENTILES},
        events_seen=events_seen,
        events_expected=events_expected,
        proofs=proofs,
        surprises=account.surprises,
    )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest value that this percentage of all values does not exceed (nearest rank); 0 if there are none."""
    if not ascending:
        return 0.0
    rank = -(-len(ascending) * percent // 100)
    return ascending[max(0, min(len(ascending), int(rank)) - 1)]


def drawn_summary(summary: Summary) -> RenderableType:
    """The summary for a person."""
    deeds = new_table("what happened", "", right=("",))
    for kind, count in summary.applied.items():
        deeds.add_row(kind, f"{count:,}")
    for reason, count in summary.refused.items():
        deeds.add_row(f"refused: {reason}", f"{count:,}", style="yellow")
    deeds.add_row("sent again, answered as before", f"{summary.replays:,}", end_section=True)
    deeds.add_row("operations", f"{summary.operations:,}", style="bold")
    deeds.add_row("operations per second", f"{summary.operations_per_second:,.0f}", style="bold")
    for name, milliseconds in summary.latency_ms.items():
        deeds.add_row(f"answered and durable, {name.replace('_', '.')}", f"{milliseconds:,.1f} ms")
    proofs = new_table("", "proof", "shown by", folding=("proof", "shown by"))
    for proof in summary.proofs:
        sign = Text("✓", style="bold green") if proof.holds else Text("✗", style="bold red")
        proofs.add_row(sign, proof.claim, proof.shown_by)
    return Group(
        Text(f"{summary.run}: {summary.wallets:,} wallets, {summary.connections} connections, seed {summary.seed}"),
        "",
        deeds,
        "",
        proofs,
        "",
        verdict(summary),
    )


def verdict(summary: Summary) -> Text:
    """The last line."""
    if summary.is_proven:
        return Text("Every proof holds. Look around: walletd wallet list " + summary.run, style="green")
    return Text(
        "A proof FAILED: keep the data directory as evidence, and check it with walletd verify.", style="bold red"
    )
