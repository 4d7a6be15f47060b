"""A server's log: one JSON object a line, with whatever the line was about in fields of its own.

>>> record = logging.LogRecord("daxa_registry.rpc", logging.INFO, "", 0, "a call failed", None, None)
>>> record.request_id = "7b3f"
>>> json.loads(JsonLines().format(record))["request_id"]
'7b3f'
"""

from __future__ import annotations

import datetime
import json
import logging
import sys

FIELDS = ("call", "peer", "code", "request_id", "seconds")
"""What a caller may put beside the text, as ``extra``."""


class JsonLines(logging.Formatter):
    """Time, level, logger, text, and those of FIELDS that are there. An exception is told by its class, never by its text."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "text": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False)


def log_as_json() -> None:
    """Everything from INFO on goes to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
