"""What stands in an exchange's gateway: count what was seen on the trading path, and let the rest happen behind it.

    gateway = Gateway.from_file("client.toml")
    ...
    gateway.observe(access_key, peer_address, account=customer, device=Device(user_agent=user_agent))
    if gateway.verdict(access_key).level >= Level.REVOKE: ...

Nothing runs before the first call, so an application server may load it before it forks. Of the processes that share a state
folder one ships for all, whichever has the lock; another takes over when it ends, unless it was forked off by one that was
already at work: gRPC does not survive a fork.
"""

from __future__ import annotations

import atexit
import dataclasses
import fcntl
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode, Unavailable
from daxa_core.model import Act, Device, Manner, Verdict

from . import _forks
from ._client import RegistryClient
from ._complaints import Complaints
from ._config import ClientConfig, read_config
from ._enforcement import EnforcementReceipt
from ._health import GatewayHealth
from ._keeper import Keeper
from ._reports import Reports
from ._shipper import Shipper
from ._spool import Spool
from ._submission import SubmitResult
from ._verdict_feed import OnVerdict, VerdictFeed, tell
from ._verdict_table import VerdictTable

_LEAD_SECONDS = 1.0
OnOfNoUse = Callable[[str], object]


class Gateway:
    """One process's observing, shipping and verdicts. Thread-safe, fork-safe, usable from asyncio: nothing in it waits."""

    def __init__(self, config: ClientConfig, *, flushes: bool = True) -> None:
        """Starts nothing yet. Raises ConfigurationError where ``config`` names no state folder.

        With ``flushes`` False nothing is put on the disk but by :meth:`flush`: for who knows how far it has read elsewhere.
        """
        if config.state is None:
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "gateway.state", "a folder")
        self._config = config
        self._flushes = flushes
        self._state: Path = config.state
        self._complaints = Complaints()
        self._spool = Spool(
            self._state / "spool.sqlite", config.account_secret, config.spool_megabytes, self._complaints
        )
        self._keeper = Keeper(self._spool, self._state)
        self._observer = self._keeper.observer
        self._table = VerdictTable(
            self._state / "verdicts.sqlite", config.account_secret, config.parameters.digest, self._complaints
        )
        self._callbacks: list[OnVerdict] = []
        self._on_of_no_use: list[OnOfNoUse] = []
        try:
            self._table.load()
        except DaxaError as error:
            self._complaints.say("verdicts", f"no verdicts until the registry sends them: {error}")
        self._closed = False
        self._stop = threading.Event()
        self._inherited: list[object] = []
        self._may_lead = True
        self._pid = os.getpid()
        self._leading = threading.Lock()
        self._reset()
        _forks.register(self)
        atexit.register(_close, weakref.ref(self))

    @classmethod
    def from_file(cls, path: str | Path) -> Gateway:
        """A gateway as client.toml says. Raises ConfigurationError naming file and key."""
        return cls(read_config(path))

    def __enter__(self) -> Gateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def observe(
        self,
        key: str,
        address: str,
        *,
        manner: Manner = Manner.USED,
        device: Device | None = None,
        account: str | None = None,
        holder: bytes | None = None,
        when: float | None = None,
    ) -> bool:
        """This key was seen from this address. Microseconds; never waits, never raises.

        Answers whether it was counted: False where it is no sighting or a bound is reached, which :meth:`health` counts.
        ``when`` is in seconds since the epoch, now if None.
        """
        if not self._started and not self._start():
            return False
        return self._observer.observe(
            key, address, manner=manner, device=device, account=account, holder=holder, when=when
        )

    def verdict(self, key: str) -> Verdict:
        """The verdict on one of this member's keys, out of memory: less than a microsecond; never waits, never raises.

        CLEAR with no fingerprint where there is none, where it holds no longer, or where nobody on this host has seen the key.
        """
        if not self._started:
            self._start()
        return self._table.verdict(key)

    def report(self, verdict: Verdict, act: Act) -> bool:
        """Tells the registry what was done about a verdict. Microseconds; never waits, never raises.

        It is put on the disk with what was observed, and told by whichever process of the state folder ships. Answers whether it
        will be: False where too many wait for the disk, or it is no report.
        """
        return (self._started or self._start()) and self._keeper.report(verdict, act)

    def receipts(self) -> tuple[EnforcementReceipt, ...]:
        """The registry's answers to what was reported, the last thousand that this process has had: the one that ships.

        Nothing is lost with them: the registry's log has every report, for this member to read.
        """
        reports = self._reports
        return tuple(reports.receipts) if reports else ()

    def unplaced(self) -> None:
        """Counts a request whose key was not observed because nobody can know from where it came: for a middleware to call."""
        self._without_address += 1

    def on_verdict(self, callback: OnVerdict) -> OnVerdict:
        """Calls ``callback(key, verdict)`` for every change from now on, at least once, in a thread of its own.

        It is called in every process that shares the state folder. ``key`` is None where no process of this host has seen the
        key yet; it is called again once one has. Answers the callback, so that it can be written as a decorator.
        """
        self._callbacks.append(callback)
        return callback

    def on_of_no_use(self, callback: OnOfNoUse) -> OnOfNoUse:
        """Calls ``callback(key)`` for a key that was refused here, once the registry answers that it is of no use: this member
        has only ever refused it. Whether another issued it is told to that one alone.

        It is called in the process that ships, for all of the state folder, in threads that ship: again for each batch with the
        key, also for two at once, and ``key`` is as it was observed. Let it be quick. Answers the callback, as a decorator does.
        """
        self._on_of_no_use.append(callback)
        return callback

    def flush(self, mark: tuple[str, str] | None = None) -> None:
        """Waits until what was observed is on the disk. Raises Unavailable where the disk does not take it.

        ``mark``, a name and a value, is kept in the same transaction; :meth:`mark` has it again.
        """
        self._keep(counts=True, mark=mark)
        self._tell()

    def mark(self, name: str) -> str | None:
        """The value that :meth:`flush` last kept under that name, None if none. Raises Unavailable."""
        return self._spool.mark(name)

    def drain(self, seconds: float) -> bool:
        """Waits until all that was observed was answered by the registry, that long at most; whether it was.

        A disk that does not take it meanwhile is asked again.
        """
        if not self._started:
            self._start()
        kept, end = False, time.monotonic() + seconds
        while True:
            try:
                if not kept:
                    self._keep(counts=True)
                    self._spool.hasten(time.time())
                    kept = True
                if self._spool.empty():
                    return True
            except DaxaError as error:
                self._complaints.say("drain", f"what was observed is not at the registry yet: {error}")
            if time.monotonic() >= end or self._stop.wait(0.05):
                return False

    def close(self) -> None:
        """Puts what was observed on the disk and ends what runs. What was not sent is sent by the next process.

        While other processes have the spool it waits for its turn, a minute at most.
        """
        if self._closed:
            return
        self._closed, self._started = True, False
        self._stop.set()
        client = self._client
        for one in (self._shipper, self._feed, self._reports):  # what ends with the client is no trouble of theirs
            if one is not None:
                one.stop()
        if client is not None:
            client.close()
        end = time.monotonic() + self._config.deadline_seconds  # for all of them together
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))
        try:
            self._spool.patient()
            self._keep(counts=True)
        except DaxaError as error:
            self._complaints.say("close", f"what was observed last is lost: {error}")
        self._keeper.close()
        self._spool.close()
        self._table.close()

    def health(self) -> GatewayHealth:
        """How it goes. Raises Unavailable where the spool cannot be read."""
        counts, state = self._observer.counts(), self._spool.state()
        shipper, feed, client, reports = self._shipper, self._feed, self._client, self._reports
        return GatewayHealth(
            ships=shipper is not None,
            combinations=counts.combinations,
            waiting=state.waiting,
            oldest=state.oldest,
            sent=shipper.sent if shipper else 0,
            dropped=counts.dropped + state.dropped,
            refused=counts.refused,
            without_device=counts.without_device,
            without_address=self._without_address,
            unreadable=state.unreadable,
            lowered=state.lowered,
            set_aside=state.refused,
            discarded=state.discarded,
            refused_by_registry=dict(shipper.refused) if shipper else {},
            evaluators=client.health() if client else {},
            problem=shipper.problem if shipper else "",
            verdicts=len(self._table),
            verdicts_problem=feed.problem if feed else "",
            receipts=reports.answered if reports else 0,
            reports_waiting=state.reports + self._keeper.reports,
            reports_lost=state.reports_lost,
            of_no_use=shipper.of_no_use if shipper else 0,
        )

    # what runs behind it

    def _reset(self) -> None:
        """As before anything ran."""
        self._started = False
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._client: RegistryClient | None = None
        self._shipper: Shipper | None = None
        self._feed: VerdictFeed | None = None
        self._reports: Reports | None = None
        self._without_address = 0
        self._lead: int | None = None

    def before_fork(self) -> None:
        """Waits until no thread is just about to take the lead."""
        self._leading.acquire()

    def after_fork(self) -> None:
        """Ends what :meth:`before_fork` began."""
        self._leading.release()
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self._begin_in_child()

    def _begin_in_child(self) -> None:
        """In the child: the parent's threads are not here, its connections must not be touched, and it tells what it saw."""
        self._inherited += [
            self._client,
            self._shipper,
            self._feed,
            self._reports,
        ]  # letting go of them would touch what is the parent's
        if self._started:
            self._may_lead = False  # gRPC may be in use, and does not survive a fork: who was started first leads
        if self._lead is not None:
            os.close(self._lead)  # the lock stays the parent's
        self._reset()
        self._keeper.after_fork()
        self._table.after_fork()

    def _start(self) -> bool:
        """Whether there is somebody to observe for: False once it is closed."""
        if self._closed or not self._starting.acquire(False):
            return not self._closed
        try:
            if self._started:
                return True
            flushing = [("daxa-flush", self._flush_loop)] if self._flushes else []
            for name, work in (*flushing, ("daxa-lead", self._lead_loop)):
                thread = threading.Thread(target=work, name=name, daemon=True)
                thread.start()
                self._threads.append(thread)
            self._started = True
        except RuntimeError:  # no thread can be had now; the next call tries again
            self._complaints.say("threads", "no thread can be started; what is observed stays in memory")
        finally:
            self._starting.release()
        return True

    def _flush_loop(self) -> None:
        next_counts = time.monotonic() + self._config.count_seconds
        while not self._stop.wait(0.05 if self._observer.half_full else self._config.flush_seconds):
            counts = time.monotonic() >= next_counts
            try:
                self._keep(counts)
            except DaxaError as error:
                self._complaints.say("spool", f"what was observed stays in memory for now: {error}")
            except Exception as error:  # noqa: BLE001 - this thread must not end
                self._complaints.say("flush", f"flushing failed with a bug: {type(error).__name__}")
            if counts:
                next_counts = time.monotonic() + self._config.count_seconds
            self._tell()

    def _keep(self, counts: bool, mark: tuple[str, str] | None = None) -> None:
        """From memory to the disk, and who sends it is told. Raises Unavailable."""
        self._keeper.keep(counts, mark)
        if self._shipper is not None:
            self._shipper.wake()
        if self._reports is not None:
            self._reports.wake()

    def _tell(self) -> None:
        """One line an hour of what had to be let go."""
        counts = self._observer.counts()
        if counts.dropped:
            self._complaints.say(
                "dropped", f"{counts.dropped} sightings were dropped so far: more at once than can be kept"
            )
        if counts.refused:
            self._complaints.say("refused", f"{counts.refused} calls of observe() so far were no sightings")
        if counts.without_device:
            text = f"{counts.without_device} sightings so far had a device that cannot be used; they go without it"
            self._complaints.say("device", text)
        if self._without_address:
            text = f"{self._without_address} requests so far named a key and came from nobody knows where, and were not observed"
            self._complaints.say("address", f"{text}: are trusted_proxies and forwarded_header right?")

    def _lead_loop(self) -> None:
        """Ships for all processes of the state folder, once none of the others does."""
        while not self._stop.is_set():
            try:
                if self._take_lead():
                    self._ship()
                else:
                    tell(self._callbacks, self._table.refresh(), self._complaints)
            except DaxaError as error:
                self._complaints.say("lead", f"sightings wait in the spool: {error}")
            except Exception as error:  # noqa: BLE001 - this thread must not end
                self._complaints.say("lead", f"shipping failed with a bug: {type(error).__name__}")
            self._stop.wait(_LEAD_SECONDS)
        if self._lead is not None:
            os.close(self._lead)
            self._lead = None

    def _take_lead(self) -> bool:
        if self._lead is not None:
            return True
        if not self._may_lead:
            return False
        with self._leading:
            try:
                self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
                lead = os.open(self._state / "lead.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError as error:
                wanted = f"a folder that can be written to, got {type(error).__name__}"
                raise Unavailable(ErrorCode.UNAVAILABLE, "gateway.state", wanted) from None
            try:
                fcntl.flock(lead, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lead)
                return False
            self._lead = lead
        return True

    def _ship(self) -> None:
        self._table.load()
        # The table has the raw keys, of all processes of this host and on the disk.
        with RegistryClient(dataclasses.replace(self._config, cursor=None), raw_keys=0) as client:
            shipper = Shipper(self._spool, client, self._complaints, self._answered)
            feed = VerdictFeed(client, self._table, self._complaints, self._callbacks)
            reports = Reports(client, self._spool.reports, self._complaints)
            self._client, self._shipper, self._feed, self._reports = client, shipper, feed, reports
            reporting = threading.Thread(target=reports.run, name="daxa-reports", daemon=True)
            following = threading.Thread(target=feed.run, name="daxa-verdicts", daemon=True)
            try:
                if not self._stop.is_set():
                    following.start()
                    reporting.start()
                    shipper.run()
            finally:
                feed.stop()
                reports.stop()
                client.close()
                for thread in (following, reporting):
                    if thread.ident is not None:
                        thread.join(self._config.deadline_seconds)

    def _answered(self, result: SubmitResult) -> None:
        """The registry has taken sightings of these keys: their fingerprints are known now, and which are of no use here."""
        for key in result.of_no_use:
            for callback in self._on_of_no_use:
                try:
                    callback(key)
                except Exception as error:  # noqa: BLE001 - it is the member's own code, and its message may name the key
                    name = type(error).__name__
                    self._complaints.say(
                        f"of no use {name}", f"a callback of on_of_no_use raised {name}", logging.ERROR
                    )
        try:
            tell(
                self._callbacks,
                self._table.learn((verdict.key, key) for key, verdict in result.verdicts.items()),
                self._complaints,
            )
        except DaxaError as error:
            self._complaints.say("learn", f"verdicts may come without their keys for now: {error}")


def _close(reference: weakref.ref[Gateway]) -> None:
    gateway = reference()
    if gateway is not None:
        gateway.close()
