"""Small exchanges for real servers: one in Flask, one in Django by either interface. What they observe goes to the file that
$SINK names.

gunicorn --chdir tests/client/middleware small_apps:flask_app
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django
import flask
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from sink import Sink

from daxa_client.asgi import SightingMiddleware as AsgiSightingMiddleware
from daxa_client.wsgi import SightingMiddleware

SINK = Sink(Path(os.environ.get("SINK", os.devnull)))
BEHIND: dict[str, Any] = {"trusted_proxies": ["127.0.0.0/8", "unix"]}

# Flask: Bithumb, whose first version refuses with a code in the body

flask_bare = flask.Flask("exchange")


@flask_bare.post("/info/balance")
def balance() -> tuple[dict[str, Any], int]:
    if "bad" in flask.request.headers.get("Api-Sign", ""):
        return {"status": "5300", "message": "Invalid Apikey"}, 200
    flask.request.environ["exchange.customer"] = "customer-1"
    return {"status": "0000", "data": flask.request.form}, 200


@flask_bare.get("/public/ticker/<pair>")
def ticker(pair: str) -> dict[str, str]:
    return {"status": "0000", "pair": pair}


flask_app = SightingMiddleware(
    flask_bare.wsgi_app, SINK, "bithumb", account=lambda environ: environ.get("exchange.customer"), **BEHIND
)

# Django: Korbit, whose first version has its key in a form beside the secret


def orders(request: HttpRequest) -> HttpResponse:
    if request.headers.get("X-Kapi-Key", "").startswith("expired"):
        return JsonResponse({"success": False, "error": {"message": "KEY_EXPIRED"}}, status=400)
    return JsonResponse({"success": True})


def token(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"fields": sorted(request.POST), "access_token": "opaque"})


def statement(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


urlpatterns = [
    path("v2/orders", orders),
    path("v2/orderbook", orders),
    path("v1/oauth2/access_token", token),
    path("v2/myTrades", statement),
]
if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True)
    django.setup()
django_app = SightingMiddleware(get_wsgi_application(), SINK, "korbit", **BEHIND)
django_asgi = AsgiSightingMiddleware(get_asgi_application(), SINK, "korbit", **BEHIND)
