"""Queries give way: whoever polls an execution gets an answer at once, however busy queries keep the machine."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

#: So many steps on the scale of ``nice``: a core that both want is given to the other three times as long.
_NICE = 5


def give_way() -> None:
    """Lower the priority of the calling thread, and of all threads it starts from now on.

    Linux knows priorities of threads; elsewhere the call would concern the whole process, so nothing happens.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICE)
