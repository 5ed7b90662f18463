"""The process ends, whatever becomes of what is said about it."""

import subprocess
import sys

import pytest

from walletd.runtime.ending import EXIT_SOFTWARE

PROGRAM = """
import logging
from walletd.runtime.ending import end_process

class Broken(logging.Handler):
    def handle(self, record):
        {handle}
    def flush(self):
        {flush}

logging.getLogger().addHandler(Broken())
try:
    end_process("a reason")
finally:
    print("went on")
"""


@pytest.mark.parametrize(
    ("handle", "flush"), [("pass", "pass"), ("raise MemoryError", "pass"), ("pass", "raise MemoryError")]
)
def test_the_process_ends_also_where_nothing_can_be_said(handle: str, flush: str) -> None:
    program = PROGRAM.format(handle=handle, flush=flush)
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (EXIT_SOFTWARE, b"")
