"""Every verdict, what is allowed to differ and why, and the table of both.

python -m tests.conformance.verdicts               # prints the table; --full sends as many messages as Autobahn does
"""

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Mapping

from tests.conformance.cases import load_cases
from tests.conformance.player import Verdict, play
from tests.gateway.wires import policy
from walletd.gateway.websocket.handshake import Policy
from walletd.settings.settings import Settings

SECTIONS = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "closing",
    9: "limits and performance",
    12: "compression of different payloads",
    13: "compression with different parameters",
}

BINARY = "a binary frame: requests are text, so it is closed with 1003"
FAIL_FAST = "invalid UTF-8 inside an incomplete frame is refused once the frame is complete, with the right code"
CLOSE_WITHIN = "a close between the fragments of a message is answered with 1002 by the websockets library"


def _is_binary(verdict: Verdict) -> bool:
    return verdict.close_code == 1003


def _is_late(verdict: Verdict) -> bool:
    return verdict[:3] == ("NON-STRICT", "OK", 1007)


def _is_protocol_error(verdict: Verdict) -> bool:
    return verdict[:3] == ("FAILED", "WRONG CODE", 1002)


ALLOWED: Mapping[str, tuple[Callable[[Verdict], bool], str]] = {
    "1.2.": (_is_binary, BINARY),
    "6.4.3": (_is_late, FAIL_FAST),
    "6.4.4": (_is_late, FAIL_FAST),
    "7.1.5": (_is_protocol_error, CLOSE_WITHIN),
    "9.2.": (_is_binary, BINARY),
    "9.4.": (_is_binary, BINARY),
    "9.6.": (_is_binary, BINARY),
    "9.8.": (_is_binary, BINARY),
    "12.2.": (_is_binary, BINARY),
    "12.3.": (_is_binary, BINARY),
    "12.5.": (_is_binary, BINARY),
}
"""By number, or by the beginning of it: what the verdict must be instead, and why that is right."""


def section(number: str) -> int:
    return int(number.partition(".")[0])


def allowed(number: str) -> tuple[Callable[[Verdict], bool], str] | None:
    """What is allowed to differ in this case."""
    return next(
        (row for name, row in ALLOWED.items() if number == name or (number.startswith(name) and name[-1] == ".")), None
    )


def policy_for(number: str) -> Policy:
    """Up to section 7 the bounds of a daemon as it ships; the performance cases are about codecs, not about bounds."""
    shipped = Settings()
    if section(number) <= 7:
        return policy(max_message_bytes=shipped.max_frame_bytes)
    wide = policy(max_message_bytes=32 * 1024 * 1024, compresses=section(number) >= 12)
    return dataclasses.replace(wide, max_fragments=1_000_000)


def verdict_of(number: str, case_class: type, messages: int | None = None) -> Verdict:
    """Play it; ``messages`` bounds how many are sent where a case sends a thousand."""
    overrides = {"COUNT": messages} if messages is not None and hasattr(case_class, "COUNT") else {}
    return play(case_class, policy_for(number), **overrides)


def table(verdicts: Mapping[str, Verdict]) -> str:
    """By section: how many are as Autobahn wants them, and how many differ as allowed; then why."""
    lines = ["| section | cases | OK | informational | allowed to differ |", "|---|---|---|---|---|"]
    for number, name in SECTIONS.items():
        mine = {case: verdict for case, verdict in verdicts.items() if section(case) == number}
        if mine:
            kinds = Counter(
                "good" if verdict.behavior == "OK" else "informational" for verdict in mine.values() if verdict.is_good
            )
            counts = (len(mine), kinds["good"], kinds["informational"], len(mine) - kinds.total())
            lines.append(f"| {number} {name} | " + " | ".join(map(str, counts)) + " |")
    lines += ["", "| cases | difference |", "|---|---|"]
    lines += [f"| {name}{'*' * name.endswith('.')} | {why} |" for name, (_, why) in ALLOWED.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    cases = {number: kind for number, kind in load_cases().items() if section(number) in SECTIONS}
    messages = None if "--full" in sys.argv else 5
    print(table({number: verdict_of(number, kind, messages) for number, kind in cases.items()}))
