"""Why a PostgreSQL database cannot be opened, in one line that says what to do; never the URL, which may hold a password.

Who is refused a connection is told no SQLSTATE by libpq, but its text, which is the server's in the server's language and holds
names; so a cause is known by either, and none of the text is told. What is not known leaves the server's own log to be read.

>>> not_opened(psycopg.OperationalError('FATAL:  database "registry" does not exist')).expected
'a database that is there: make it with createdb'
"""

from __future__ import annotations

import re

import psycopg

from daxa_core.errors import ConfigurationError, ErrorCode

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
    ("53100", "No space left on device", "a server whose disk has room; nothing was changed"),
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


def not_opened(error: psycopg.Error) -> ConfigurationError:
    """What is told of an error while a database was opened and migrated."""
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", _wanted(error))


def _wanted(error: psycopg.Error) -> str:
    if error.sqlstate is None and isinstance(error, psycopg.ProgrammingError):  # nobody was asked: it could not be read
        return _FORM
    for sqlstate, text, wanted in _CAUSES:
        if error.sqlstate == sqlstate if error.sqlstate else re.search(text, str(error)):
            return wanted
    if error.sqlstate is None and re.search("invalid .* value|Servname|invalid port", str(error)):
        return _FORM
    got = error.sqlstate or type(error).__name__
    return f"a PostgreSQL database that can be reached and written to; the server's log says why not, got {got}"
