"""Where each exchange's requests name their key, in every form in which a gateway may hand them on, and what is refused."""

from __future__ import annotations

import base64
import json
from email.message import Message
from typing import Any
from urllib.parse import urlencode

import pytest

from daxa_client import InvalidInput
from daxa_client.exchanges import NAMES, get
from formats import FORMATS, HEX_32, HEX_48, KEY_40, KORBIT, SECRET, UUID, Request, base64url, bearer, payload

OTHER_40 = KEY_40[::-1]
OTHER_UUID = UUID.replace("3f25", "aaaa")


def extract(request: Request, **changes: Any) -> str | None:
    return get(request.exchange).extract(**request.arguments(**changes))


@pytest.fixture(params=FORMATS, ids=str)
def request_of(request: pytest.FixtureRequest) -> Request:
    """Each documented format in turn."""
    return FORMATS[request.param]


def test_the_key_is_found_where_the_exchange_says(request_of: Request) -> None:
    """Every documented version, REST and private websocket."""
    assert extract(request_of) == request_of.key


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title, str.swapcase], ids=lambda case: case.__name__)
@pytest.mark.parametrize("form", ["text", "bytes", "spaced"])
def test_header_names_come_in_any_case_and_form(request_of: Request, case: Any, form: str) -> None:
    """HTTP/2 lowers names, clients and proxies write them as they like, ASGI gives bytes, some gateways leave spaces."""
    pairs: list[tuple[Any, Any]] = [("Host", "localhost"), *((case(n), v) for n, v in request_of.headers), ("Z", "1")]
    if form == "bytes":
        pairs = [(n.encode(), v.encode()) for n, v in pairs]
    elif form == "spaced":
        pairs = [(n, f" \t{v} ") for n, v in pairs]
    assert extract(request_of, headers=pairs) == request_of.key


def test_wsgi_names_are_understood(request_of: Request) -> None:
    """An environ as it is: every name in capitals with underscores, values of all types beside them."""
    environ: dict[Any, Any] = {"wsgi.input": object(), "wsgi.version": (1, 0), "REQUEST_METHOD": request_of.method}
    environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request_of.headers}
    assert extract(request_of, headers=environ) == request_of.key
    assert extract(request_of, headers=list(environ.items())) == request_of.key


def test_headers_come_in_any_container(request_of: Request) -> None:
    """A message of the standard library's, a mapping to lists, pairs with lists, an iterator that can be read once."""
    message = Message()
    for name, value in request_of.headers:
        message[name] = value
    pairs = [(name, [value]) for name, value in request_of.headers]
    for headers in (message, dict(pairs), pairs, iter(request_of.headers), (pair for pair in pairs)):
        assert extract(request_of, headers=headers) == request_of.key


@pytest.mark.parametrize("host", ["https://api.example.com", "wss://ws-api.example.com:443", "http://[::1]:8080"])
def test_the_path_may_be_a_whole_url(request_of: Request, host: str) -> None:
    """Some gateways give the URL, some bytes, some leave the slash at the end."""
    path, mark, query = request_of.path.partition("?")
    assert extract(request_of, path=host + request_of.path) == request_of.key
    assert extract(request_of, path=(host + request_of.path + "#x").encode()) == request_of.key
    assert extract(request_of, path=path.rstrip("/") + "/" + mark + query) == request_of.key
    assert extract(request_of, method=request_of.method.lower().encode()) == request_of.key


def test_without_its_credentials_there_is_no_key(request_of: Request) -> None:
    """A public request names nobody, and what merely stands beside the key is not taken for one."""
    path = request_of.path.replace("apiKey", "other")
    kept = [("Content-Type", "application/json"), ("Api-Sign", HEX_32), ("signature", UUID), ("Cookie", HEX_48)]
    assert extract(request_of, path=path, headers=kept, body=b"{}") is None


@pytest.mark.parametrize(
    "name", [n for n, r in FORMATS.items() if r.headers and not r.headers[0][0].startswith("Content")]
)
def test_the_same_header_twice_is_one_key_and_two_keys_are_none(name: str) -> None:
    """The gateway authenticated one of two keys and which is not known: no guess, a wrong one would blame a stranger."""
    request_of = FORMATS[name]
    others = {"Authorization": bearer({"access_key": OTHER_40}), "X-COINONE-PAYLOAD": payload(access_token=OTHER_UUID)}
    others |= {"X-KAPI-KEY": KORBIT[::-1], "Api-Key": HEX_32[::-1]}
    if request_of.exchange == "gopax":
        others["Api-Key"] = OTHER_UUID
    header = next(n for n in others if n.lower() == request_of.headers[0][0].lower())
    twice = [*request_of.headers, request_of.headers[0]]
    assert extract(request_of, headers=twice) == request_of.key
    for headers in ([*request_of.headers, (header, others[header])], [(header, others[header]), *request_of.headers]):
        assert extract(request_of, headers=headers) is None
    assert extract(request_of, headers=[(header, "junk"), *request_of.headers]) == request_of.key


@pytest.mark.parametrize("alg", ["HS256", "HS512", "none", "RS256", "nonsense"])
@pytest.mark.parametrize("exchange", ["upbit", "bithumb"])
def test_a_token_is_read_whatever_its_algorithm(exchange: str, alg: str) -> None:
    """The documentation shows HS512, real clients send HS256; neither header nor signature says who it is."""
    for scheme in ("Bearer ", "bearer ", "BEARER  ", "Bearer\t"):
        value = bearer({"access_key": KEY_40}, alg).replace("Bearer ", scheme)
        assert get(exchange).extract(headers=[("Authorization", value)]) == KEY_40
    claims = base64url({"access_key": KEY_40})
    for header, signature in (("", ""), ("!!", "!!"), ("e30", "")):
        assert get(exchange).extract(headers=[("Authorization", f"Bearer {header}.{claims}.{signature}")]) == KEY_40


@pytest.mark.parametrize("filler", ["", "a", "ab", "abc", "한글~~~???>>>"])
@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode], ids=["base64", "base64url"])
@pytest.mark.parametrize("padded", [True, False])
def test_both_alphabets_with_and_without_padding(filler: str, alphabet: Any, padded: bool) -> None:
    """Clients differ in both, at Coinone and in tokens."""

    def encode(fields: dict[str, str]) -> str:
        text = alphabet(json.dumps(fields | {"filler": filler}, ensure_ascii=False).encode()).decode()
        return text if padded else text.rstrip("=")

    value = encode({"access_token": UUID})
    assert get("coinone").extract(headers=[("X-COINONE-PAYLOAD", value)]) == UUID
    token = f"Bearer e30.{encode({'access_key': KEY_40})}.c2ln"
    assert get("upbit").extract(headers=[("Authorization", token)]) == KEY_40


def test_coinones_body_is_never_read() -> None:
    """A body that is the payload of another key, or no JSON at all, changes nothing."""
    signed = FORMATS["coinone"]
    for body in (payload(access_token=OTHER_UUID).encode(), json.dumps({"access_token": OTHER_UUID}).encode(), b"\xff"):
        assert extract(signed, body=body) == UUID
        assert extract(signed, headers=[], body=body) is None


@pytest.mark.parametrize(
    ("method", "path", "body", "found"),
    [
        ("POST", "/v1/oauth2/access_token", f"client_id={KORBIT}", KORBIT),
        ("post", "/v1/oauth2/access_token/?x=1", f"a=b&client_id={KORBIT}&c=d", KORBIT),
        ("POST", "/v1/oauth2/access_token", "client_id=abc%2Ddef%5Fghi", "abc-def_ghi"),
        ("POST", "/v1/oauth2/access_token", "client%5Fid=abcdefgh", "abcdefgh"),
        ("POST", "/v1/oauth2/access_token", "client_id=a.b~c", "a.b~c"),
        ("POST", "/v1/oauth2/access_token", "client_id=abc+def", None),
        ("POST", "/v1/oauth2/access_token", "client_id=+abcdefgh+", "abcdefgh"),
        ("POST", "/v1/oauth2/access_token", "client_id=", None),
        ("POST", "/v1/oauth2/access_token", "client_id", None),
        ("POST", "/v1/oauth2/access_token", "client_id=abcdefgh&client_id=abcdefgx", None),
        ("POST", "/v1/oauth2/access_token", f"client_secret={SECRET}", None),
        ("POST", "/v1/oauth2/access_token", "client_id=%ED%95%9C", None),
        ("POST", "/v1/oauth2/access_token", "client_id=%zz%", None),
        ("POST", "/v1/oauth2/access_token", "client_id=QUJD%2BRA%3D%3D", "QUJD+RA=="),
        ("POST", "/v1/oauth2/access_token", f"client_id={KORBIT}client_secret={SECRET}", None),
        ("POST", "/v1/oauth2/access_token", f"client_id={KORBIT};client_secret={SECRET}", None),
        ("POST", "/v1/oauth2/access_token", f"client_id={KORBIT}%26client_secret%3D{SECRET}", None),
        ("GET", "/v1/oauth2/access_token", f"client_id={KORBIT}", None),
        ("GET", f"/v1/oauth2/access_token?client_id={KORBIT}", "", None),
        ("POST", "/v1/oauth2/access_token/x", f"client_id={KORBIT}", None),
        ("POST", "/v1/user/orders/buy", f"client_id={KORBIT}", None),
        ("POST", "/v2/orders", f"client_id={KORBIT}", None),
    ],
)
def test_korbits_first_version_names_its_key_in_one_request_only(
    method: str, path: str, body: str, found: str | None
) -> None:
    """The field of the token request's form, decoded as a form; elsewhere a field of that name is something else."""
    for form in (body, body.encode(), bytearray(body.encode())):
        assert get("korbit").extract(method=method, path=path, body=form) == found


def test_korbits_later_calls_carry_no_key() -> None:
    """v1's bearer token is opaque: it stands for the account and names no key."""
    headers = [("Authorization", "Bearer d87Yf0rXqP3mWlKvN5b2Zc")]
    assert get("korbit").extract(path="/v1/user/balances", headers=headers) is None


@pytest.mark.parametrize(
    ("method", "query", "found"),
    [
        ("GET", f"apiKey={UUID}", UUID),
        ("GET", f"timestamp=1&apiKey={UUID}&signature=a%2Bb%3D%3D", UUID),
        ("GET", f"apiKey={UUID.replace('-', '%2D')}", UUID),
        ("CONNECT", f"apiKey={UUID}", UUID),
        ("POST", f"apiKey={UUID}", None),
        ("DELETE", f"apiKey={UUID}", None),
        ("GET", f"apiKey={UUID}&apiKey={OTHER_UUID}", None),
        ("GET", f"apikey={UUID}", None),
        ("GET", f"signature={UUID}", None),
    ],
)
def test_gopaxs_handshake_names_its_key_in_the_query(method: str, query: str, found: str | None) -> None:
    """Of the private websocket's URL only; a REST call is authenticated by its header."""
    for path in (f"/?{query}", f"/ws?{query}", f"wss://wsapi.example.com?{query}"):
        assert get("gopax").extract(method=method, path=path) == found


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/", None),
        ("GET", "/ws", None),
        ("CONNECT", "/%6frders", None),
        ("GET", "/orders", UUID),
        ("GET", "/balances/BTC", UUID),
        ("POST", "/orders", UUID),
        ("DELETE", "/orders/1", UUID),
    ],
)
def test_a_key_in_gopaxs_query_is_not_hidden_by_a_header_nor_hides_one(
    method: str, path: str, found: str | None
) -> None:
    """A handshake is authenticated by its query: who puts a stranger's key into a header blames nobody. REST is by its header."""
    headers = [("api-key", UUID)]
    assert get("gopax").extract(method=method, path=f"{path}?apiKey={OTHER_UUID}", headers=headers) == found
    assert get("gopax").extract(method=method, path=f"{path}?apiKey={UUID}", headers=headers) == UUID


def test_korbits_token_request_is_authenticated_by_its_form_alone() -> None:
    """And v1's later calls by their token: the header of the second version counts at neither."""
    arguments: dict[str, Any] = {"headers": [("X-KAPI-KEY", KORBIT[::-1])], "body": f"client_id={KORBIT}"}
    for path in ("/v1/oauth2/access_token", "//v1//oauth2/access_token/", "/V1/oauth2/access_token\n"):
        assert get("korbit").extract(method="POST", path=path, **arguments) == KORBIT
    assert get("korbit").extract(method="POST", path="/v1/user/orders/buy", **arguments) is None
    assert get("korbit").extract(method="POST", path="/v2/orders", **arguments) == KORBIT[::-1]


def test_a_fragment_is_cut_off_a_url_alone() -> None:
    """A server takes the number sign of a path or a query for what it is, and reads the key behind it."""
    assert get("gopax").extract(path=f"/?x=#&apiKey={UUID}") == UUID
    assert get("gopax").extract(path=f"wss://h/?x=#&apiKey={UUID}") is None


@pytest.mark.parametrize("size", [12_000, 40_000])
def test_padding_does_not_hide_a_key_where_servers_still_read_it(size: int) -> None:
    """Servers take up to 64 KiB of headers."""
    filler = "x" * size
    token = bearer({"access_key": KEY_40, "x": filler})
    assert get("upbit").extract(headers=[("Authorization", token)]) == KEY_40
    assert get("coinone").extract(headers=[("X-COINONE-PAYLOAD", payload(access_token=UUID, x=filler))]) == UUID
    assert get("gopax").extract(path=f"/?x={filler}&apiKey={UUID}") == UUID


def test_all_keys_that_stand_in_a_request_are_candidates() -> None:
    """Whichever the gateway reads, it is among them, each once; the contract of ``extract`` holds for them too."""
    two = [("Authorization", bearer({"access_key": key})) for key in (KEY_40, OTHER_40, KEY_40)]
    both = [("Api-Key", HEX_32), *two[:1]]
    assert get("upbit").candidates(headers=two) == [KEY_40, OTHER_40]
    for path in ("/info/balance", "/v1/accounts"):
        assert sorted(get("bithumb").candidates(path=path, headers=both)) == sorted([HEX_32, KEY_40])
    named = get("gopax").candidates(path=f"/balances?apiKey={OTHER_UUID}", headers=[("api-key", UUID)])
    assert named == [UUID, OTHER_UUID]
    for hostile in (None, 7, [(None, None)], object()):
        assert get("bithumb").candidates(method=hostile, path=hostile, headers=hostile, body=hostile) == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/info/balance", HEX_32),
        ("/trade/place?x=1", HEX_32),
        ("/v1/orders", KEY_40),
        ("/v2/orders", KEY_40),
        ("", KEY_40),
        ("//info//balance", HEX_32),
        ("/INFO/balance/", HEX_32),
        ("/v1/../info/balance", None),
        ("/%69nfo/balance", None),
    ],
)
def test_bithumbs_path_decides_between_its_two_versions(path: str, found: str | None) -> None:
    """A request that carries both is authenticated by that of its path; one that carries one key names it anywhere. A path that
    a proxy may turn into another one decides nothing."""
    version_1, version_2 = ("Api-Key", HEX_32), ("Authorization", bearer({"access_key": KEY_40}))
    assert get("bithumb").extract(path=path, headers=[version_1, version_2]) == found
    assert get("bithumb").extract(path=path, headers=[version_1]) == HEX_32
    assert get("bithumb").extract(path=path, headers=[version_2]) == KEY_40


@pytest.mark.parametrize(
    "claims",
    [
        {"access_key": 1}, {"access_key": None}, {"access_key": [KEY_40]}, {"access_key": {"a": 1}}, {"access_key": True},
        {"access_key": ""}, {"access_key": KEY_40 + "\n"}, {"access_key": " " + KEY_40}, {"access_key": "k" * 65},
        {"access_key": "가" * 40}, {"access_key": "٣" * 40}, {"Access_Key": KEY_40}, {}, [], [KEY_40], "text", 7, None,
        "not json", "{", "\ufeff{}", "[" * 6_000, '{"access_key":' * 500, '{"a":' + "9" * 5_000 + "}",
    ],
    ids=lambda claims: ascii(claims)[:30],
)  # fmt: skip
def test_a_claim_that_is_no_key_is_none(claims: Any) -> None:
    """Other types, other shapes, other names, nesting that would exhaust a parser's stack."""
    headers = [("Authorization", bearer(claims))]
    assert get("upbit").extract(headers=headers) is None
    assert get("bithumb").extract(headers=headers) is None
    assert get("coinone").extract(headers=[("X-COINONE-PAYLOAD", base64url(claims))]) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"access_key":"%s","x":NaN,"y":-Infinity,"z":1e999}',
        '{"x":"\\ud800","access_key":"%s"}',
        ' \n{"access_key":"%s"} ',
    ],
)
def test_what_stands_beside_a_key_does_not_hide_it(text: str) -> None:
    """Numbers that are none, half a surrogate, white space: parsers of gateways take them, so they are taken here."""
    assert get("upbit").extract(headers=[("Authorization", bearer(text % KEY_40))]) == KEY_40


def test_of_a_claim_that_stands_twice_the_last_counts() -> None:
    """RFC 7519 section 4, as the parsers of gateways do."""
    text = f'{{"access_key":"{OTHER_40}","access_key":"{KEY_40}"}}'
    assert get("upbit").extract(headers=[("Authorization", bearer(text))]) == KEY_40


@pytest.mark.parametrize(
    "value",
    [
        "", "Bearer", "Bearer ", "Basic {t}", "Token {t}", "{t}", "Bearer{t}", "Bearer {t} x", "Bearer {t}.d", "Bearer {c}",
        "Bearer e30.{c}", "Bearer .{c}", "Bearer e30.{c}!.c", "Bearer e30.A.c", "Bearer e30.{c}==x.c", "Bearer {t}, Bearer {t}",
    ],
)  # fmt: skip
def test_what_is_no_bearer_token_is_none(value: str) -> None:
    """Other schemes, cut tokens, tokens with too many parts or characters that base64 has not."""
    claims = base64url({"access_key": KEY_40})
    text = value.replace("{t}", f"e30.{claims}.c2ln").replace("{c}", claims)
    assert get("upbit").extract(headers=[("Authorization", text)]) is None


@pytest.mark.parametrize("exchange", NAMES)
def test_a_huge_token_is_not_decoded(exchange: str) -> None:
    """A header of megabytes costs a look at its length; one of a few KiB is read."""
    fields = {"access_key": KEY_40, "access_token": UUID}
    for size, found in ((4_000, True), (5_000_000, False)):
        text = base64url(fields | {"filler": "x" * size})
        headers = [("Authorization", f"Bearer e30.{text}.c"), ("X-COINONE-PAYLOAD", text)]
        key = get(exchange).extract(path="/v1/orders", headers=headers)
        assert (key is not None) == (found and exchange in ("upbit", "bithumb", "coinone"))
    headers = [("Api-Key", "a" * 5_000_000), ("X-KAPI-KEY", "a" * 5_000_000)]
    body = b"client_id=abcdefgh&x=" + b"y" * 5_000_000
    path = "/v1/oauth2/access_token"
    assert get(exchange).extract(method="POST", path=path, headers=headers, body=body) is None
    assert get(exchange).extract(path="/?apiKey=" + UUID + "&x=" + "y" * 5_000_000) is None


@pytest.mark.parametrize(
    "value", ["", "x", "two words", "a" * 65, "{" + UUID + "}", "key:secret", "a.b.c-d_e", "QUJDRA=="]
)
def test_what_can_be_no_exchanges_key_is_none(value: str) -> None:
    """Too short, too long, or of characters that none of them uses at this place."""
    assert get("bithumb").extract(path="/info/balance", headers=[("Api-Key", value)]) is None
    assert get("gopax").extract(headers=[("api-key", value)]) is None
    assert get("korbit").extract(headers=[("X-KAPI-KEY", value)]) is None
    assert get("coinone").extract(headers=[("X-COINONE-PAYLOAD", payload(access_token=value))]) is None
    assert get("upbit").extract(headers=[("Authorization", bearer({"access_key": value}))]) is None


@pytest.mark.parametrize(
    ("value", "found"), [("a" * 7, None), ("a" * 8, "a" * 8), ("a" * 64, "a" * 64), ("a" * 65, None)]
)
def test_korbits_unpublished_format_is_taken_widely(value: str, found: str | None) -> None:
    """8 to 64 letters, digits, hyphens and underscores."""
    assert get("korbit").extract(headers=[("X-KAPI-KEY", value)]) == found
    assert get("korbit").extract(headers=[("X-KAPI-KEY", value[:-1] + ".")]) is None


@pytest.mark.parametrize("key", [KEY_40, HEX_48, HEX_32, UUID, KORBIT, KEY_40[:39]])
def test_another_exchanges_key_is_given_and_told_apart(key: str) -> None:
    """A stolen key is tried at every door: where it is refused the registry wants to know, and its shape says whose it is not."""
    found = {
        "upbit": get("upbit").extract(headers=[("Authorization", bearer({"access_key": key}))]),
        "bithumb": get("bithumb").extract(path="/info/balance", headers=[("Api-Key", key)]),
        "coinone": get("coinone").extract(headers=[("X-COINONE-PAYLOAD", payload(access_token=key))]),
        "korbit": get("korbit").extract(headers=[("X-KAPI-KEY", key)]),
        "gopax": get("gopax").extract(headers=[("api-key", key)]),
    }
    assert found == dict.fromkeys(NAMES, key)
    assert {name for name in NAMES if get(name).looks_like_own(key)} == {n for n in NAMES if key in OWN[n]} | {"korbit"}


@pytest.mark.parametrize("key", ["QUJD+RA==", "a.b~c", "k", KORBIT])
def test_what_korbit_may_have_issued_is_not_said_to_be_anothers(key: str) -> None:
    """Neither of its two formats is published."""
    found = get("korbit").extract(method="POST", path="/v1/oauth2/access_token", body=urlencode({"client_id": key}))
    assert found == key
    assert get("korbit").looks_like_own(key)


OWN = {
    "upbit": {KEY_40},
    "bithumb": {KEY_40, HEX_48, HEX_32},
    "coinone": {UUID, UUID.upper()},
    "korbit": {KEY_40, HEX_48, HEX_32, UUID, UUID.upper(), KORBIT},
    "gopax": {UUID, UUID.upper()},
}


@pytest.mark.parametrize("exchange", NAMES)
def test_a_shape_tells_what_was_never_ones_own(exchange: str) -> None:
    """And no more: two exchanges each share a shape. What is no text is nobody's."""
    shapes = {KEY_40, HEX_48, HEX_32, UUID, UUID.upper(), KORBIT}
    assert {key for key in shapes if get(exchange).looks_like_own(key)} == OWN[exchange]
    for key in (None, b"a" * 40, 7, "", KEY_40 + "\n", "٣" * 40, [KEY_40]):
        assert not get(exchange).looks_like_own(key)


def test_names() -> None:
    """The five, one alias, any case; another is refused naming the field and what there is, never what was given."""
    assert NAMES == ("upbit", "bithumb", "coinone", "korbit", "gopax")
    assert get("DigitalX") is get("digitalx") is get("korbit")
    for name in ("binance", "", None, 7, b"upbit"):
        with pytest.raises(InvalidInput, match=r"exchange: one of upbit, bithumb, coinone, korbit, gopax, digitalx$"):
            get(name)  # type: ignore[arg-type]
