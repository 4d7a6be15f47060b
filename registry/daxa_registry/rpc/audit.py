"""AuditService: the log as members and auditors may read it, and the cosignatures that witnesses give."""

from __future__ import annotations

import asyncio

from daxa_api.v1 import audit_pb2, audit_pb2_grpc
from daxa_registry.service.log import Log
from daxa_registry.store.interface import Store

from .identity import Context, Role, peer_of

PAGE = 500
PAGE_BYTES = 1 << 20


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """See proto/daxa_api/v1/audit.proto. Proofs are made in threads: the store may wait for the disk."""

    def __init__(self, log: Log, store: Store, trust_domain: str) -> None:
        self._log = log
        self._store = store
        self._trust_domain = trust_domain

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: Context
    ) -> audit_pb2.GetCheckpointResponse:
        note = await asyncio.to_thread(self._log.checkpoint, request.cosignatures)
        return audit_pb2.GetCheckpointResponse(checkpoint=note)

    async def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: Context
    ) -> audit_pb2.GetInclusionProofResponse:
        leaf, hashes = await asyncio.to_thread(self._log.inclusion, request.leaf_index, request.tree_size)
        return audit_pb2.GetInclusionProofResponse(leaf_hash=leaf, hashes=hashes)

    async def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: Context
    ) -> audit_pb2.GetConsistencyProofResponse:
        hashes = await asyncio.to_thread(self._log.consistency, request.first_size, request.second_size)
        return audit_pb2.GetConsistencyProofResponse(hashes=hashes)

    async def ListEntries(
        self, request: audit_pb2.ListEntriesRequest, context: Context
    ) -> audit_pb2.ListEntriesResponse:
        peer = peer_of(context, self._trust_domain)
        reader = None if peer.role is Role.AUDITOR else await asyncio.to_thread(self._store.member_id, peer.name)
        limit = request.limit if 0 < request.limit < PAGE else PAGE
        size, entries = await asyncio.to_thread(self._page, request.start, limit, reader)
        return audit_pb2.ListEntriesResponse(tree_size=size, entries=entries)

    def _page(self, start: int, limit: int, reader: int | None) -> tuple[int, list[audit_pb2.Entry]]:
        size = self._store.log_size()
        if start >= size:
            return size, []
        page: list[audit_pb2.Entry] = []
        room = PAGE_BYTES
        for entry in self._log.entries(start, limit, reader):
            room -= len(entry.payload)
            if page and room < 0:
                break
            page.append(
                audit_pb2.Entry(
                    index=entry.index, leaf_hash=entry.leaf_hash, payload_type=entry.payload_type, payload=entry.payload
                )
            )
        return size, page

    async def AddCosignature(
        self, request: audit_pb2.AddCosignatureRequest, context: Context
    ) -> audit_pb2.AddCosignatureResponse:
        await asyncio.to_thread(self._log.add_cosignature, request.tree_size, request.cosignature)
        return audit_pb2.AddCosignatureResponse()
