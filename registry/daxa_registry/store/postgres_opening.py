"""What PostgreSQL cannot do now, told as what to do: why a database cannot be opened, in one line and never with the URL, which
may hold a password; and what a statement of one that is open failed of.

Who is refused a connection is told no SQLSTATE by libpq, but its text, which is the server's in the server's language and holds
names; so a cause is known by either, and none of the text is told. What is not known leaves the server's own log to be read.

>>> not_opened(psycopg.OperationalError('FATAL:  database "registry" does not exist')).expected
'a database that is there: make it with createdb'
"""

from __future__ import annotations

import re

import psycopg

from daxa_core.errors import ConfigurationError, ErrorCode, Unavailable

from .database import disk_full

PASSING = frozenset({"08", "25", "40", "53", "55", "57", "58"})
"""Classes of SQLSTATE that say nothing of the statement: connections, a server that is read-only or ended the transaction,
conflicts, resources, locks, interventions, the system."""
_ITS_FILES = frozenset({"md.c", "fd.c", "buffile.c", "slru.c"})
"""Where the server's own source writes to its disk."""

_CAUSES = (
    ("28P01", "password authentication failed|no password supplied",
     "the password of the role in the URL: a line in PGPASSFILE, or a client certificate"),
    ("28000", r"pg_hba\.conf|role \".*\" does not exist|authentication failed|is not permitted to log in",
     "a role that the server knows and lets in from here: CREATE ROLE … LOGIN, and a line in its pg_hba.conf"),
    ("3D000", "database \".*\" does not exist", "a database that is there: make it with createdb"),
    ("53300", "too many clients|too many connections|remaining connection slots",
     "a server with connections left, five for each node: raise max_connections, or the role's or the database's limit"),
    ("57P03", "the database system is |not (yet )?accepting connections",
     "a server that has started: this one is starting or stopping; try again"),
    ("25006", "session is read-only|server is in hot standby",
     "a server that can be written to; those in the URL are standbys, or read-only"),
    ("42501", "permission denied", "a role that may create tables there: make it the database's owner"),
    ("53100", "No space left on device|Disk quota exceeded", "a server whose disk has room; nothing was changed"),
    ("55P03", "lock timeout", "tables that nobody keeps locked: end what holds them, or try again; nothing was changed"),
    ("", "SSL|certificate",
     "TLS that both sides agree on: sslmode and sslrootcert in the URL, and the server's own certificate"),
    ("", "could not translate host name|could not resolve|Name or service not known|unknown host",
     "a host whose name can be resolved from here: look at the URL, or at this machine's resolver"),
    ("", "[Cc]onnection refused|Is the server running",
     "a server that listens at the URL's host and port: start it, or look at its listen_addresses"),
    ("", "timeout expired|timed out|No route to host|unreachable",
     "a server that answers from here: look at the URL's host, and at firewalls between"),
)  # fmt: skip
_FORM = "a URL of libpq's form, postgresql://role@host:port/database?sslmode=verify-full, with libpq's parameters alone"


def unavailable(error: Exception) -> Unavailable:
    """The typed error for one of psycopg's: its class is told, its text never (it may quote values)."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    if isinstance(error, psycopg.Error) and _disk_full(error):
        return disk_full()
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) or sqlstate[:2] in PASSING:
        wanted = "a database that can be written to; try again"
        return Unavailable(ErrorCode.UNAVAILABLE, "store", wanted, retry_after=1.0)
    return Unavailable(ErrorCode.INTERNAL, "store", f"a statement that fits the schema, got {type(error).__name__}")


def _disk_full(error: psycopg.Error) -> bool:
    """Whether the server could not make a file longer.

    It has a code for a disk without room. A quota, a limit of the files' size and a disk that may only be read are to it an
    internal error or a missing right; what it says of them is in its own language, where it says it from is not.
    """
    return error.sqlstate == "53100" or (error.sqlstate in ("XX000", "42501") and error.diag.source_file in _ITS_FILES)


def not_opened(error: psycopg.Error) -> ConfigurationError:
    """What is told of an error while a database was opened and migrated."""
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", _wanted(error))


def _wanted(error: psycopg.Error) -> str:
    if error.sqlstate is None and isinstance(error, psycopg.ProgrammingError):  # nobody was asked: it could not be read
        return _FORM
    told = "53100" if _disk_full(error) else error.sqlstate
    for sqlstate, text, wanted in _CAUSES:
        if told == sqlstate if told else re.search(text, str(error)):
            return wanted
    if error.sqlstate is None and re.search("invalid .* value|Servname|invalid port", str(error)):
        return _FORM
    got = error.sqlstate or type(error).__name__
    return f"a PostgreSQL database that can be reached and written to; the server's log says why not, got {got}"
