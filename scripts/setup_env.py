"""Makes the project's own virtual environment in .venv, from the hash-pinned lock file; does nothing where it is up to date.

Imported by the scripts that a newcomer runs: they need nothing but Python 3.11 or later.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv"
PYTHON = HOME / ("Scripts" if os.name == "nt" else "bin") / "python"
LOCKS = ROOT / "scripts" / "locks"


def ensure_environment(lock: str = "dev") -> None:
    """Makes or updates .venv, then goes on in its Python. Exits with one line where this Python is too old.

    ``lock`` "demo" is a part of "dev" that is there sooner: an environment that has the whole will do.
    """
    if sys.version_info < (3, 11):
        raise SystemExit("Python 3.11 or later is needed; this is " + sys.version.split()[0])
    stamp = HOME / "stamp"
    stamped = stamp.read_text() if stamp.is_file() else ""
    wanted = _digest(lock)
    if stamped not in (wanted, _digest("dev")):
        print("Setting up .venv from the lock file; this takes a minute the first time.", file=sys.stderr, flush=True)
        venv.create(HOME, with_pip=True, clear=True)
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, "--require-hashes", "-r", LOCKS / f"{lock}.lock"], check=True)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", ROOT], check=True)
        stamp.write_text(wanted)
    if Path(sys.prefix).resolve() != HOME.resolve():
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def _digest(lock: str) -> str:
    return hashlib.sha256((LOCKS / f"{lock}.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()


def in_environment(name: str) -> str:
    """The path of a program that the environment installed."""
    return str(PYTHON.parent / name)
