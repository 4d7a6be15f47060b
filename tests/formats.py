"""Requests as each exchange's clients make them, by the documented rules; secrets stand in them so that tests can look for them.

request = FORMATS["bithumb v1.2"]
assert extract(request) == request.key
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

SECRET = "SECRETsecretSECRETsecret0123"
KEY_40 = "xUpBiT0123456789abcdefghijABCDEFGHIJ0123"
HEX_48 = "0123456789abcdef0123456789abcdef0123456789abcdef"
HEX_32 = "0123456789abcdef0123456789abcdef"
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
KORBIT = "kbt_0123456789-ABCDEFabcdef"


def base64url(value: Any) -> str:
    """JSON (or the text given) in base64url, unpadded."""
    data = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(data.encode()).rstrip(b"=").decode()


def bearer(claims: Any, alg: str = "HS256") -> str:
    """An Authorization header's value; the signature is none."""
    return f"Bearer {base64url({'alg': alg, 'typ': 'JWT'})}.{base64url(claims)}.c2lnbmF0dXJl"


def payload(**fields: Any) -> str:
    """Coinone's header value."""
    return base64.b64encode(json.dumps({"nonce": "n", **fields}).encode()).decode()


@dataclass(frozen=True, slots=True)
class Request:
    """What is handed to ``extract``, at which exchange, and the key it should find."""

    exchange: str
    key: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def arguments(self, **changes: Any) -> dict[str, Any]:
        """Keyword arguments, some changed."""
        plain = {"method": self.method, "path": self.path, "headers": list(self.headers), "body": self.body}
        return plain | changes


_JWT = {"access_key": KEY_40, "nonce": "n-1", "query_hash": "ab" * 64, "query_hash_alg": "SHA512"}
_V2 = {"access_key": HEX_48, "nonce": "n-1", "timestamp": 1_700_000_000_000}
_TOKEN = f"client_id={KORBIT}&client_secret={SECRET}&grant_type=client_credentials".encode()
_SIGNED = (("X-COINONE-PAYLOAD", payload(access_token=UUID)), ("X-COINONE-SIGNATURE", "ab" * 64))
_KAPI = (("X-KAPI-KEY", KORBIT),)
FORMATS = {
    "upbit": Request("upbit", KEY_40, "POST", "/v1/orders", (("Authorization", bearer(_JWT)),)),
    "upbit websocket": Request(
        "upbit", KEY_40, "GET", "/websocket/v1/private", (("authorization", bearer(_JWT, "HS512")),)
    ),
    "bithumb v2": Request("bithumb", HEX_48, "GET", "/v1/accounts", (("Authorization", bearer(_V2)),)),
    "bithumb v2, as documented": Request("bithumb", KEY_40, "POST", "/v2/orders", (("Authorization", bearer(_JWT)),)),
    "bithumb websocket": Request("bithumb", HEX_48, "GET", "/websocket/v2/private", (("authorization", bearer(_V2)),)),
    "bithumb v1.2": Request(
        "bithumb", HEX_32, "POST", "/info/balance",
        (("Api-Key", HEX_32), ("Api-Sign", "c2lnbg=="), ("Api-Nonce", "1700000000000")),
        b"endpoint=%2Finfo%2Fbalance&currency=ALL",
    ),
    "coinone": Request("coinone", UUID, "POST", "/v2/account/balance/", _SIGNED),
    "coinone v2.1": Request("coinone", UUID, "POST", "/v2.1/order", _SIGNED, payload(access_token=UUID).encode()),
    "coinone websocket": Request("coinone", UUID, "GET", "/v1/private", _SIGNED),
    "korbit": Request("korbit", KORBIT, "GET", "/v2/balance?timestamp=1700000000000&signature=abcd", _KAPI),
    "korbit order": Request("korbit", KORBIT, "POST", "/v2/orders", _KAPI, b"symbol=btc_krw&timestamp=1&signature=abcd"),
    "korbit websocket": Request("korbit", KORBIT, "GET", "/v2/private?timestamp=1700000000000&signature=abcd", _KAPI),
    "korbit v1": Request(
        "korbit", KORBIT, "POST", "/v1/oauth2/access_token",
        (("Content-Type", "application/x-www-form-urlencoded"),), _TOKEN,
    ),
    "digitalx": Request("digitalx", KORBIT, "DELETE", "/v2/orders?timestamp=1&signature=ab", (("x-kapi-key", KORBIT),)),
    "gopax": Request(
        "gopax", UUID, "POST", "/orders", (("api-key", UUID), ("timestamp", "1700000000000"), ("signature", "c2ln"))
    ),
    "gopax, older clients": Request(
        "gopax", UUID, "GET", "/balances", (("API-Key", UUID), ("Signature", "c2ln"), ("Nonce", "1700000000000"))
    ),
    "gopax websocket": Request("gopax", UUID, "GET", f"/?apiKey={UUID}&timestamp=t17&signature=c2ln", ()),
}  # fmt: skip
