"""Whatever stands in a request: an answer, no exception, and never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daxa_client.exchanges import NAMES, get
from formats import FORMATS, SECRET, Request, base64url

NAMES_OF_HEADERS = ["Authorization", "Api-Key", "X-COINONE-PAYLOAD", "X-KAPI-KEY", "api-key", "HTTP_API_KEY"]
PATHS = ["/v1/oauth2/access_token", "/info/balance", "/v1/orders", "/?apiKey=", "https://h", "//", "?", "#", "/%zz"]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.binary(max_size=60)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["access_key", "access_token"]), inner),
)
tokens = st.builds(lambda value, head: f"{head} e30.{base64url(json.dumps(value))}.x", json_values, st.text(max_size=8))
values = anything | tokens | json_values.map(lambda value: base64url(json.dumps(value)))
names = st.sampled_from(NAMES_OF_HEADERS) | st.sampled_from([n.encode() for n in NAMES_OF_HEADERS]) | anything
headers = st.lists(st.tuples(names, values) | anything, max_size=6) | anything
paths = st.builds(lambda a, b: a + b, st.sampled_from(PATHS), st.text(max_size=40)) | anything
bodies = st.builds(lambda a, b: a + b, st.sampled_from([b"client_id=", b"&", b"%"]), st.binary(max_size=80)) | anything


@given(st.sampled_from(NAMES), st.sampled_from(["GET", "post", b"POST"]) | anything, paths, headers, bodies)
@settings(deadline=None, max_examples=400)
@example("korbit", "POST", "/v1/oauth2/access_token", (), "client_id=\ud800")
@example("gopax", None, "/?apiKey=\ud800", {"a": "b"}, None)
def test_nothing_that_is_given_raises(exchange: str, method: Any, path: Any, pairs: Any, body: Any) -> None:
    """Types included: an answer is a key of visible ASCII, or None."""
    found = get(exchange).extract(method=method, path=path, headers=pairs, body=body)
    assert found is None or (
        isinstance(found, str) and 1 <= len(found) <= 128 and found.isascii() and found.isprintable()
    )
    assert get(exchange).looks_like_own(body) in (True, False)


class Hostile:
    """Raises at every touch."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(SECRET)

    def __iter__(self) -> Any:
        raise RuntimeError(SECRET)

    def __len__(self) -> int:
        raise RuntimeError(SECRET)


class HostileText(str):
    """Text that raises when it is worked on."""

    __slots__ = ()

    def lower(self) -> str:
        raise RuntimeError(SECRET)

    partition = split = strip = startswith = lower  # type: ignore[assignment]


@pytest.mark.parametrize("exchange", NAMES)
def test_objects_that_raise_are_nothing(exchange: str) -> None:
    """A framework's lazy request objects can raise in any method; trading goes on."""
    for hostile in (Hostile(), HostileText("x"), [Hostile()], [(Hostile(), "x")], [("api-key", Hostile())]):
        for name in ("method", "path", "headers", "body"):
            assert get(exchange).extract(**{name: hostile}) is None


@given(st.sampled_from(sorted(FORMATS)), st.data())
@settings(deadline=None, max_examples=300)
def test_a_request_with_bytes_changed_is_the_key_another_or_none(name: str, data: st.DataObject) -> None:
    """Cuts, flips and insertions in a header's value never raise, and never bring a secret out."""
    request: Request = FORMATS[name]
    parts = [request.path.encode(), request.body, *(value.encode() for _, value in request.headers)]
    which = data.draw(st.integers(0, len(parts) - 1))
    place = data.draw(st.integers(0, len(parts[which])))
    change = data.draw(st.binary(max_size=3))
    parts[which] = parts[which][:place] + change + parts[which][place + data.draw(st.integers(0, 3)) :]
    pairs = [(n.encode(), value) for (n, _), value in zip(request.headers, parts[2:], strict=True)]
    found = get(request.exchange).extract(method=request.method, path=parts[0], headers=pairs, body=parts[1])
    assert found is None or SECRET not in found


@given(st.binary(min_size=1, max_size=20))
def test_the_secret_beside_korbits_key_is_never_taken(change: bytes) -> None:
    """Whatever stands between the fields, the answer is no part of the secret's field."""
    body = b"client_secret=" + SECRET.encode() + change + b"client_id=abcdefgh"
    found = get("korbit").extract(method="POST", path="/v1/oauth2/access_token", body=body)
    assert found in (None, "abcdefgh")
