"""How nice a thread is: where there is no processor for all, who waits for an answer goes before who works ahead.

>>> be_nicer(0)
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading

WRITER = 5
"""The thread that writes gives way to those that answer: a look-up shall not wait for a batch."""
COPIER = 10
"""What copies the write-ahead log back gives way to the writer as well: nobody waits for it."""


def be_nicer(by: int) -> None:
    """Makes the calling thread nicer than its process, where a thread has a priority of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(
                os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, os.getpid()) + by
            )
