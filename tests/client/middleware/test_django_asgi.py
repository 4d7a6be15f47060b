"""The ASGI middleware in front of Django, under a real uvicorn and under gunicorn's own ASGI workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from servers import HERE, gunicorn, uvicorn, waited

from deployment import free_ports
from formats import KORBIT, SECRET


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_django_by_its_asgi_interface(server: str, tmp_path: Path) -> None:
    """Uses, a refusal by status, a file in parts, the key in a form, which the app still reads; and nothing of other pages."""
    sink, (port,) = tmp_path / "sink", free_ports(1)
    running = {
        "uvicorn": lambda: uvicorn("django_asgi", sink, port),
        "gunicorn": lambda: gunicorn("django_asgi", sink, f"127.0.0.1:{port}", "asgi"),
    }
    with running[server](), requests.Session() as session:
        url = f"http://127.0.0.1:{port}"
        session.headers.update({"X-Forwarded-For": "192.0.2.1, 198.51.100.7", "User-Agent": "bot/1.0"})
        assert session.get(url + "/v2/orders?timestamp=1", headers={"X-KAPI-KEY": KORBIT}, timeout=60).json()["success"]
        assert (
            session.get(url + "/v2/orders", headers={"X-KAPI-KEY": "expired-" + KORBIT}, timeout=60).status_code == 400
        )
        session.get(url + "/v2/orderbook", headers={"X-KAPI-KEY": KORBIT}, timeout=60)
        session.get(url + "/v2/nowhere", headers={"X-KAPI-KEY": KORBIT}, timeout=60)
        file = session.get(url + "/v2/myTrades", headers={"X-KAPI-KEY": "k-for-the-file"}, timeout=60).content
        assert file == Path(HERE / "small_apps.py").read_bytes()
        form = {"client_id": KORBIT, "client_secret": SECRET, "grant_type": "client_credentials"}
        assert session.post(url + "/v1/oauth2/access_token", data=form, timeout=60).json()["fields"] == sorted(form)
        found = waited(sink, 4)
    wanted = [(KORBIT, "USED"), (KORBIT, "USED"), ("expired-" + KORBIT, "REJECTED"), ("k-for-the-file", "USED")]
    assert sorted((key, manner) for key, _, manner, _, _ in found) == sorted(wanted)
    assert {address for _, address, _, _, _ in found} == {"198.51.100.7"}
    assert SECRET not in sink.read_text()
