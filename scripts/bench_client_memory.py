"""What a process with 100,000 active keys holds: loaded alone in a fresh interpreter by scripts/bench_client.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from blake3 import blake3

from daxa_client import Device, Gateway, RegistryClient
from daxa_client._config import read_config
from daxa_client._submission import prepare
from daxa_core.codec import encode_verdict, write_envelope
from daxa_core.envelope import VERDICT_TYPE, SigningKey
from daxa_core.model import MAX_SIGHTINGS, CountBucket, Level, RawSighting, Reason, Scope, Verdict
from daxa_core.verification import VerdictKey, VerificationKeys

KEYS = 100_000
AGENTS = [f"client/{number} (python)" for number in range(50)]
REASONS = ("SHARED_ADDRESS", "SHARED_DEVICE", "MANY_ADDRESSES", "SAME_HOURS", "NEW_ADDRESS")
SIGNER = SigningKey(bytes(32))


def hold(configuration: str) -> tuple[object, ...]:
    """A gateway and its client, as they are after 100,000 keys: each on an address of its own, observed, kept, fingerprinted,
    submitted; a tenth have a verdict in its envelope, which was read, verified and put into the table.

    Connects to nobody: fingerprints are made up, and what a process does with the answers is done with these.
    """
    config = dataclasses.replace(read_config(Path(configuration)), cursor=None)
    gateway, client = Gateway(config), RegistryClient(config, raw_keys=0)
    client._verifier._keys = VerificationKeys(config.verification.log, (VerdictKey(SIGNER.public, 0),))
    observer, spool = gateway._observer, gateway._spool
    for start in range(0, KEYS, MAX_SIGHTINGS):
        for n in range(start, start + MAX_SIGHTINGS):
            address = f"8.{n >> 16}.{n >> 8 & 255}.{n & 255}"
            observer.observe(f"{n:040}", address, device=Device(AGENTS[n % 50]), account=str(n))
        spool.add(observer.collect(counts=False), 0)
    while batches := spool.seal(1):
        for batch in batches:
            submitted(gateway, client, batch.sightings)
            spool.done(batch.batch_id)
    observer.collect()
    return gateway, client


def submitted(gateway: Gateway, client: RegistryClient, sightings: Sequence[RawSighting]) -> None:
    """What :meth:`RegistryClient.submit` and a gateway's shipper and feed keep of a batch and its answer."""
    prepared = prepare(sightings, client._canonicaliser)
    canonicals = [value for values in prepared.wanted().values() for value in values]
    client._cache.put({value: blake3(value).digest() for value in canonicals})
    prints = client._cache.get(canonicals)
    table = gateway._table
    table.learn((prints[item.key], item.raw.key) for item in prepared.items)
    for item in prepared.items[::10]:
        reasons = tuple(Reason(code, 0.5, CountBucket(2), item.raw.hour) for code in REASONS)
        verdict = Verdict(
            prints[item.key], Level.WARN, 1.5, reasons, table.cursor + 1, item.raw.hour * 3_600, 0, bytes(32), bytes(32),
            Scope.TELL_HOLDER, 0, member=client._config.member, log_index=table.cursor,
        )  # fmt: skip
        signed = write_envelope(SIGNER.sign(VERDICT_TYPE, encode_verdict(verdict)))
        table.take([client._verifier.read(signed)])
