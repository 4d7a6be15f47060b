"""Following a log: each line once, whatever is rotated, cut, restarted or killed in between; tried with a real nginx too."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import deployment
from daxa_client import ClientConfig, ConfigurationError, Gateway
from daxa_client._complaints import Complaints
from daxa_client._follow import LogFollower
from daxa_client._request_log import MAX_LINE_BYTES, RequestLog
from daxa_client._rotation import LogFile, Rotation
from daxa_client._spool import Spool

WAIT = 60.0
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@pytest.fixture
def settings(configured: Callable[..., ClientConfig], tmp_path: Path) -> ClientConfig:
    """Nobody listens where it points: what is read stays in the spool."""
    return configured(targets=("127.0.0.1:9",), state=tmp_path / "state", deadline_seconds=0.2)


def record(number: int) -> bytes:
    return json.dumps({"key": f"key-{number}", "address": "8.8.8.8", "time": 1_790_000_000}).encode() + b"\n"


@contextlib.contextmanager
def following(settings: ClientConfig, path: Path, *trusted: str) -> Iterator[LogFollower]:
    with Gateway(settings, flushes=False) as gateway:
        follower = LogFollower(path, gateway, RequestLog(gateway, "korbit", trusted), settings.account_secret)
        thread = threading.Thread(target=follower.run)
        thread.start()
        try:
            yield follower
        finally:
            follower.stop()
            thread.join()


def spooled(settings: ClientConfig) -> Counter[str]:
    """How often each key stands in the spool, batches made or not."""
    assert settings.state is not None
    spool = Spool(settings.state / "spool.sqlite", settings.account_secret)
    out: Counter[str] = Counter()
    for batch in spool.seal(2**32, 999):
        for raw in batch.sightings:
            out[raw.key] += raw.count
    spool.close()
    return out


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def append(path: Path, *numbers: int, minute: int = 0) -> None:
    """``minute``: when it was written to, counted from some hour."""
    with path.open("ab") as file:
        file.writelines(record(number) for number in numbers)
    if minute:
        os.utime(path, (1_790_000_000 + 60 * minute,) * 2)


def ship(settings: ClientConfig, path: Path) -> LogFollower:
    """Reads what is there, without following."""
    with Gateway(settings, flushes=False) as gateway:
        follower = LogFollower(path, gateway, RequestLog(gateway, "korbit"), settings.account_secret)
        follower.run(follow=False)
    return follower


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of the log itself, not of peers that are away."""
    return [line for line in caplog.messages if " log was " in line]


def rotate(log: Path, kept: int = 9) -> None:
    """As logrotate does: each file's number one up, the last one deleted."""
    (log.parent / f"{log.name}.{kept}").unlink(missing_ok=True)
    for number in range(kept - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            (log.parent / f"{log.name}.{number}").rename(log.parent / f"{log.name}.{number + 1}")
    log.rename(log.parent / f"{log.name}.1")


def test_lines_are_read_once_across_restarts(settings: ClientConfig, tmp_path: Path) -> None:
    """What was read before is not read again; a line without an end waits for it."""
    log = tmp_path / "access.log"
    append(log, 1, 2)
    with log.open("ab") as file:
        file.write(record(3)[:10])
    with following(settings, log) as follower:
        until(lambda: follower.read == 2)
    with log.open("ab") as file:
        file.write(record(3)[10:])
    append(log, 4)
    with following(settings, log) as follower:
        until(lambda: follower.read == 2)
    assert spooled(settings) == {f"key-{n}": 1 for n in (1, 2, 3, 4)}


def test_rotation_loses_nothing(settings: ClientConfig, tmp_path: Path) -> None:
    """While it is followed, and while nobody follows; the last lines are written to the old file after the new one was seen."""
    log = tmp_path / "access.log"
    append(log, 1)
    with following(settings, log) as follower, log.open("ab") as writer:
        until(lambda: follower.read == 1)
        replaced = follower._rotation.replaced

        def last(file: LogFile) -> bool:
            if found := replaced(file):
                follower._rotation.replaced = replaced  # type: ignore[method-assign]
                writer.write(record(2))
                writer.flush()
            return found

        follower._rotation.replaced = last  # type: ignore[method-assign]
        log.rename(tmp_path / "access.log.1")
        append(log, 3)
        until(lambda: follower.read == 3)
    append(log, 4)
    (tmp_path / "access.log.1").rename(tmp_path / "access.log.2")
    log.rename(tmp_path / "access.log.1")
    append(log, 5)
    with following(settings, log) as follower:
        until(lambda: follower.read == 2)
    assert spooled(settings) == {f"key-{n}": 1 for n in (1, 2, 3, 4, 5)}


def test_a_log_that_is_cut_in_place_is_read_from_its_beginning(settings: ClientConfig, tmp_path: Path) -> None:
    """As logrotate's copytruncate does it."""
    log = tmp_path / "access.log"
    append(log, 1, 2, 3)
    with following(settings, log) as follower:
        until(lambda: follower.read == 3)
        os.truncate(log, 0)
        time.sleep(0.6)
        append(log, 4)
        until(lambda: follower.read == 4)
    assert spooled(settings) == {f"key-{n}": 1 for n in (1, 2, 3, 4)}


@pytest.mark.parametrize("follow", [True, False])
def test_several_rotations_while_nobody_reads_lose_nothing(
    settings: ClientConfig, tmp_path: Path, follow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of the file that was being read, each that came after it, the log itself; nothing that was read before."""
    log = tmp_path / "access.log"
    append(log, 1, minute=1)
    rotate(log)
    append(log, 2, minute=2)
    assert ship(settings, log).read == 1, "a log is read from now on: what was rotated before is not asked for"
    append(log, 3, minute=3)
    for minute in range(4, 14):
        rotate(log, kept=20)
        append(log, minute, minute=minute)
    if follow:
        with following(settings, log) as follower:
            until(lambda: follower.read == 11)
            append(log, 14)
            until(lambda: follower.read == 12)
    else:
        assert ship(settings, log).read == 11
        append(log, 14)
        assert ship(settings, log).read == 1
    assert spooled(settings) == {f"key-{n}": 1 for n in range(2, 15)}
    assert told(caplog) == []


def test_a_log_that_was_copied_and_cut_is_read_on_in_the_copy(
    settings: ClientConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """copytruncate, twice while nobody reads: the log has the same number as ever and is longer than it was."""
    log = tmp_path / "access.log"
    append(log, 1, 2, minute=1)
    assert ship(settings, log).read == 2
    append(log, 3, minute=2)
    for number in (2, 1):
        shutil.copy(log, tmp_path / f"access.log.{number}")
        os.utime(tmp_path / f"access.log.{number}", (1_790_000_300 - number,) * 2)
        os.truncate(log, 0)
        append(log, *range(10 * number, 10 * number + 5), minute=9)
    assert ship(settings, log).read == 11
    assert spooled(settings) == {f"key-{n}": 1 for n in (1, 2, 3, *range(10, 15), *range(20, 25))}
    assert told(caplog) == []


def test_a_log_that_was_cut_and_has_grown_past_the_place_is_read_from_its_beginning(
    settings: ClientConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is followed and while it is not, with no copy of it; as it is where a new file is given an old one's number."""
    log = tmp_path / "access.log"
    append(log, 1, 2)
    with following(settings, log) as follower:
        until(lambda: follower.read == 2)
        log.write_bytes(b"".join(map(record, (3, 4, 5))))
        until(lambda: follower.read == 5)
    log.write_bytes(b"".join(map(record, (6, 7, 8, 9))))
    assert ship(settings, log).read == 4
    assert spooled(settings) == {f"key-{n}": 1 for n in range(1, 10)}
    assert [line.partition(" and ")[0] for line in told(caplog)] == ["the log was cut in place"] * 2


def test_what_was_compressed_before_it_was_read_is_passed_over_and_told(
    settings: ClientConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not read as if it were lines, and what came after it is."""
    log = tmp_path / "access.log"
    append(log, 1, minute=1)
    assert ship(settings, log).read == 1
    append(log, 2, minute=2)
    for minute in (3, 4, 5):
        rotate(log)
        append(log, minute, minute=minute)
    (tmp_path / "access.log.2").unlink()
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(record(3)))
    os.utime(tmp_path / "access.log.2.gz", (1_790_000_180,) * 2)
    follower = ship(settings, log)
    assert (follower.read, follower.refused) == (3, 0)
    assert spooled(settings) == {f"key-{n}": 1 for n in (1, 2, 4, 5)}
    assert [line.partition(";")[0] for line in told(caplog)] == ["a rotated log was compressed before it was read"]


def test_where_the_file_that_was_read_is_gone_those_written_to_later_are_read(
    settings: ClientConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And not those before it, nor what is only named like the log; that something is lost is told."""
    log = tmp_path / "access.log"
    append(log, 1, minute=1)
    rotate(log)
    append(log, 2, minute=2)
    assert ship(settings, log).read == 1
    for minute in (3, 4, 5):
        rotate(log)
        append(log, minute, minute=minute)
    (tmp_path / "access.log.3").unlink()
    append(tmp_path / "access.log.errors", 66, minute=4)
    assert ship(settings, log).read == 3
    assert spooled(settings) == {f"key-{n}": 1 for n in (2, 3, 4, 5)}
    assert [line.rpartition("; ")[2] for line in told(caplog)] == ["what was left of it is lost"]


def test_a_mark_says_nothing_of_what_stands_in_the_log(settings: ClientConfig, tmp_path: Path) -> None:
    """It is kept as it is in the spool: who has no secret of the member's cannot try what the line was."""
    log = tmp_path / "access.log"
    append(log, 1)
    marks = [Rotation(log, secret, Complaints()) for secret in (settings.account_secret, bytes(32))]
    made = []
    for rotation in marks:
        file = rotation.open_next(None)
        assert file is not None
        with file.file:
            file.take(file.file.read())
            made.append(rotation.mark(file))
    assert made[0] != made[1]
    again = marks[0].open_next(made[0])
    assert again is not None
    with again.file:
        assert again.place == log.stat().st_size


def test_a_place_that_was_marked_by_its_number_alone_is_gone_on_from(settings: ClientConfig, tmp_path: Path) -> None:
    """As a client before this one kept it."""
    log = tmp_path / "access.log"
    append(log, 1, 2)
    with Gateway(settings, flushes=False) as gateway:
        gateway.flush((f"log {log}", json.dumps([log.stat().st_ino, len(record(1))])))
    rotate(log)
    append(log, 3)
    assert ship(settings, log).read == 2
    assert spooled(settings) == {"key-2": 1, "key-3": 1}


def test_what_is_no_record_is_counted_and_the_rest_read(
    settings: ClientConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Noise, and a line that is too long whose tail is made to look like a record; one line in the log for each kind."""
    log = tmp_path / "access.log"
    log.write_bytes(
        b"\xff\n" * 5 + b"x" * (MAX_LINE_BYTES * 30) + b"\n" + b"y" * MAX_LINE_BYTES * 2 + record(66) + record(1)
    )
    with following(settings, log) as follower:
        until(lambda: follower.read == 8)
        assert follower.refused == 7
    assert spooled(settings) == {"key-1": 1}
    assert len([line for line in caplog.messages if "were no records" in line]) == 1
    assert "key-" not in caplog.text


def test_a_file_that_is_not_there_is_told(settings: ClientConfig, tmp_path: Path) -> None:
    """Without following; with it, the file is waited for."""
    with Gateway(settings, flushes=False) as gateway:
        follower = LogFollower(tmp_path / "access.log", gateway, RequestLog(gateway, "korbit"), settings.account_secret)
        with pytest.raises(ConfigurationError, match=r"INVALID_FILE: access\.log: a file that can be read"):
            follower.run(follow=False)


NGINX_CONF = """
{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  log_format daxa escape=json '{{"time":"$msec","address":"$remote_addr","forwarded":"$http_x_forwarded_for",'
    '"method":"$request_method","path":"$uri","status":"$status","user_agent":"$http_user_agent",'
    '"headers":{{"x-kapi-key":"$http_x_kapi_key"}}}}';
  server {{
    listen 127.0.0.1:{port};
    listen unix:{folder}/s;
    access_log {folder}/access.log daxa;
    location / {{ return 200 "ok"; }}
    location /v2/refused {{ return 401 "no"; }}
  }}
}}
"""


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_a_real_nginx_is_followed_through_its_rotation(settings: ClientConfig, tmp_path: Path) -> None:
    """Its own JSON log, its own reopening on USR1; a user agent full of quotes is no way out of the format, nor is one that is no
    UTF-8, and what comes on a Unix socket comes from a proxy."""
    (port,) = deployment.free_ports(1)
    user = "user root;" if os.geteuid() == 0 else ""  # else its worker may not open a log in this folder
    (tmp_path / "nginx.conf").write_text(NGINX_CONF.format(folder=tmp_path, port=port, user=user))
    log = tmp_path / "access.log"
    process = subprocess.Popen([str(NGINX), "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"])

    def get(path: str, key: str, agent: str = "curl/8") -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        if key.endswith("6"):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(tmp_path / "s"))
        headers = {"X-KAPI-KEY": key, "User-Agent": agent, "X-Forwarded-For": "9.9.9.9"}
        connection.request("GET", path, headers=headers)
        connection.getresponse().read()
        connection.close()

    try:
        until((tmp_path / "nginx.pid").exists)
        until(lambda: _reached(port))
        with following(settings, log, "127.0.0.0/8", "unix") as follower:
            get("/v2/balance", "k_live_0000000001")
            get("/v2/refused", "k_live_0000000002", 'x","key":"forged","address":"1.1.1.1')
            until(lambda: follower.read == 2)
            log.rename(tmp_path / "access.log.1")
            get("/v2/balance", "k_live_0000000003")
            process.send_signal(10)  # SIGUSR1: nginx opens its log again
            until(log.exists)
            get("/v2/balance", "k_live_0000000004")
            get("/v2/balance", "k_live_0000000005", "bot\xff/1")
            get("/v2/balance", "k_live_0000000006")
            until(lambda: follower.read == 6)
            assert follower.refused == 0
    finally:
        process.terminate()
        process.wait(WAIT)
    assert spooled(settings) == {f"k_live_000000000{n}": 1 for n in range(1, 7)}


def _reached(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.connect()
        connection.close()
    except OSError:
        return False
    return True
