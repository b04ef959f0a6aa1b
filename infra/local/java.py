"""Finds the Java the stack runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

OLDEST = 17


class JavaError(Exception):
    """There is no Java that will do; one line that says what to install."""


@cache
def executable() -> str:
    """The ``java`` of ``$JAVA_HOME``, else of the path.

    Raises:
        JavaError: There is none, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if found is None or not Path(found).is_file():
        where = f"JAVA_HOME={home}" if home else "the path"
        raise JavaError(f"no Java in {where}: install JDK {OLDEST} (infra/prerequisites.sh says how)")
    printed = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', printed)
    if version is None or int(version[1]) < OLDEST:
        first = printed.strip().partition("\n")[0]
        raise JavaError(f"{found} is {first or 'unusable'}: JDK {OLDEST} is needed (or set JAVA_HOME)")
    return found


def home() -> Path:
    """The directory above ``bin/java``."""
    return Path(executable()).resolve().parent.parent


def lack(jars: Path) -> str:
    """What is missing to run the jars of a folder, and how to get it; empty when nothing."""
    try:
        executable()
    except JavaError as error:
        return str(error)
    return "" if any(jars.glob("*.jar")) else f"no jars in {jars}: run `make setup`"
