"""Lines of a log with the time before them, for the processes that say little and long after each other."""

from __future__ import annotations

import logging
import sys
import time


def dated_lines() -> None:
    """From now on what this process logs goes to stdout, each line after its time in UTC."""
    formatter = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    livelift = logging.getLogger("livelift")
    livelift.handlers = [handler]
    livelift.setLevel(logging.INFO)
    livelift.propagate = False
