"""A question before something that cannot be taken back.

    confirm("close wallet alice permanently", yes)      # raises NotConfirmed

Only a person at a terminal is asked; a script has said what it wants.
"""

import sys
from typing import Annotated

from cyclopts import Parameter

from walletd.cli.lines import say

Yes = Annotated[bool, Parameter(name="--yes", negative="", show_default=False)]
"""Do not ask."""


class NotConfirmed(Exception):
    """The person at the terminal did not say yes; nothing was done."""


def confirm(what: str, yes: bool) -> None:
    """Ask whether to do it, unless the answer was given with --yes or there is no terminal.  Raises NotConfirmed."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    say(f"{what[:1].upper()}{what[1:]}? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotConfirmed(f"not confirmed, so nothing was done: {what}")
