"""The published shapes of key identifiers: what an exchange could have issued, and what a dump is searched for.

The shape does not tell the exchange: two of the five show 40 letters and digits, two UUIDs.
"""

from __future__ import annotations

# 40 letters and digits (Upbit, Bithumb 2), 48 or 32 hexadecimal digits (Bithumb 2 and 1.2), UUID (Coinone, Gopax)
ALPHANUMERIC_40 = "[A-Za-z0-9]{40}"
HEX_48 = "[0-9A-Fa-f]{48}"
HEX_32 = "[0-9A-Fa-f]{32}"
UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
PUBLISHED = f"{ALPHANUMERIC_40}|{HEX_48}|{HEX_32}|{UUID}"
# Korbit does not publish its format: nearly any word is one, so in a text it counts only beside the word for a key.
UNPUBLISHED = "[A-Za-z0-9_-]{8,64}"
