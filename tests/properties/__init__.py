"""What holds for every list of commands and every frame, not only for those in the tables.

How many examples are tried follows the Hypothesis profile in force: each property takes a multiple of its number.
"""

from hypothesis import settings


def times(factor: int) -> int:
    """So many times the examples of the profile in force."""
    return factor * settings().max_examples
