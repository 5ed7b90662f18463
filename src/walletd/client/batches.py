"""Batches: several commands in one entry, and the outcome of each of them.

done = await client.batch([PostTransfer(...), PlaceHold(...)], atomic=False)
for result in done.results:
    print(result.transfer or result.refused)
"""

from typing import NamedTuple

from walletd.client.errors import RequestFailed, failure_of
from walletd.client.results import Applied


class BatchResult(NamedTuple):
    """The outcome of one command: the id of its transfer or hold, if it made one, or its refusal."""

    command_id: str
    transfer: str | None = None
    hold: str | None = None
    refused: RequestFailed | None = None


class BatchApplied(NamedTuple):
    """A batch that is durable; ``results[i]`` belongs to the command at index i."""

    applied: Applied
    results: tuple[BatchResult, ...]


def batch_results(applied: Applied) -> BatchApplied:
    """The answer of ``batch.execute``, with its errors as the exceptions that single commands raise."""
    results = []
    for outcome in applied.outcomes:
        error = outcome.error
        refused = None if error is None else failure_of(error.code, error.message, error.data, outcome.command_id)
        results.append(BatchResult(outcome.command_id, outcome.transfer, outcome.hold, refused))
    return BatchApplied(applied, tuple(results))
