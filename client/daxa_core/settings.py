"""Reading a TOML file that somebody wrote: checked values out of tables, and a refusal naming file and key for the rest.

>>> table = Table.parse(Path("x.toml"), b'listen = "127.0.0.1:1"')
>>> table.text("listen")
'127.0.0.1:1'
>>> table.done()
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from .errors import ConfigurationError, ErrorCode


class Table:
    """One table of a TOML file: hands out checked values, and refuses at the end what nobody asked for."""

    def __init__(self, name: str, folder: Path, values: dict[str, Any], prefix: str = "") -> None:
        self._name = name
        self._folder = folder
        self._left = dict(values)
        self._prefix = prefix

    @classmethod
    def parse(cls, path: Path, data: bytes) -> Table:
        """The file's top table. Raises ConfigurationError where it is no TOML in UTF-8."""
        try:
            values = tomllib.loads(data.decode("utf-8"))
        except (ValueError, RecursionError):  # of a number of thousands of digits it is a bare ValueError
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, path.name, "TOML in UTF-8") from None
        return cls(path.name, path.absolute().parent, values)

    def refuse(self, key: str, expected: str, code: ErrorCode = ErrorCode.INVALID_CONFIGURATION) -> ConfigurationError:
        """The error for one key of this table."""
        return ConfigurationError(code, f"{self._name}: {self._prefix}{key}", expected)

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._left.pop(key, default)
        if not isinstance(value, str) or not value:
            raise self.refuse(key, "a text")
        return value

    def path(self, key: str, default: str | None = None) -> Path:
        """A path, relative to the file."""
        text = self.text(key, default)
        if "\0" in text:  # what would open it raises something else
            raise self.refuse(key, "a path")
        return self._folder / text

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self._left.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number within bounds."""
        value = self._left.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refuse(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise self.refuse(key, "true or false")
        return value

    def tables(self, key: str) -> list[Table]:
        """A list of one table or more."""
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise self.refuse(key, "one table or more")
        return [Table(self._name, self._folder, item, f"{self._prefix}{key}[{i}].") for i, item in enumerate(value)]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise self.refuse(key, "a list of texts")
        return tuple(value)

    def table(self, key: str) -> Table:
        """A table within; empty where it is missing."""
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise self.refuse(key, "a table")
        return Table(self._name, self._folder, value, f"{self._prefix}{key}.")

    def has(self, key: str) -> bool:
        """Whether the key is there and was not taken yet."""
        return key in self._left

    def done(self) -> None:
        """Refuses what is left."""
        for key in self._left:
            raise self.refuse(key, "no such key")
