from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LeakConfidence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEAK_CONFIDENCE_UNSPECIFIED: _ClassVar[LeakConfidence]
    LEAK_CONFIDENCE_UNVERIFIED: _ClassVar[LeakConfidence]
    LEAK_CONFIDENCE_VERIFIED: _ClassVar[LeakConfidence]

class LeakState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEAK_STATE_UNSPECIFIED: _ClassVar[LeakState]
    LEAK_STATE_LOADING: _ClassVar[LeakState]
    LEAK_STATE_IN_FORCE: _ClassVar[LeakState]
    LEAK_STATE_WITHDRAWN: _ClassVar[LeakState]

class Tlp(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TLP_UNSPECIFIED: _ClassVar[Tlp]
    TLP_CLEAR: _ClassVar[Tlp]
    TLP_GREEN: _ClassVar[Tlp]
    TLP_AMBER: _ClassVar[Tlp]
    TLP_AMBER_STRICT: _ClassVar[Tlp]
    TLP_RED: _ClassVar[Tlp]

class LeakJudgement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEAK_JUDGEMENT_UNSPECIFIED: _ClassVar[LeakJudgement]
    LEAK_JUDGEMENT_VERIFIED: _ClassVar[LeakJudgement]
    LEAK_JUDGEMENT_UNVERIFIED: _ClassVar[LeakJudgement]
    LEAK_JUDGEMENT_WITHDRAWN: _ClassVar[LeakJudgement]
LEAK_CONFIDENCE_UNSPECIFIED: LeakConfidence
LEAK_CONFIDENCE_UNVERIFIED: LeakConfidence
LEAK_CONFIDENCE_VERIFIED: LeakConfidence
LEAK_STATE_UNSPECIFIED: LeakState
LEAK_STATE_LOADING: LeakState
LEAK_STATE_IN_FORCE: LeakState
LEAK_STATE_WITHDRAWN: LeakState
TLP_UNSPECIFIED: Tlp
TLP_CLEAR: Tlp
TLP_GREEN: Tlp
TLP_AMBER: Tlp
TLP_AMBER_STRICT: Tlp
TLP_RED: Tlp
LEAK_JUDGEMENT_UNSPECIFIED: LeakJudgement
LEAK_JUDGEMENT_VERIFIED: LeakJudgement
LEAK_JUDGEMENT_UNVERIFIED: LeakJudgement
LEAK_JUDGEMENT_WITHDRAWN: LeakJudgement

class OpenLeakRequest(_message.Message):
    __slots__ = ("leak_id", "name", "source", "found_at", "tlp", "key_version", "canonical_version", "by")
    LEAK_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FOUND_AT_FIELD_NUMBER: _ClassVar[int]
    TLP_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_VERSION_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    leak_id: bytes
    name: str
    source: str
    found_at: int
    tlp: Tlp
    key_version: int
    canonical_version: int
    by: str
    def __init__(self, leak_id: _Optional[bytes] = ..., name: _Optional[str] = ..., source: _Optional[str] = ..., found_at: _Optional[int] = ..., tlp: _Optional[_Union[Tlp, str]] = ..., key_version: _Optional[int] = ..., canonical_version: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...

class OpenLeakResponse(_message.Message):
    __slots__ = ("number", "keys", "state")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    number: int
    keys: int
    state: LeakState
    def __init__(self, number: _Optional[int] = ..., keys: _Optional[int] = ..., state: _Optional[_Union[LeakState, str]] = ...) -> None: ...

class AddLeakedKeysRequest(_message.Message):
    __slots__ = ("leak_id", "fingerprints")
    LEAK_ID_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINTS_FIELD_NUMBER: _ClassVar[int]
    leak_id: bytes
    fingerprints: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, leak_id: _Optional[bytes] = ..., fingerprints: _Optional[_Iterable[bytes]] = ...) -> None: ...

class AddLeakedKeysResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: int
    def __init__(self, keys: _Optional[int] = ...) -> None: ...

class CommitLeakRequest(_message.Message):
    __slots__ = ("leak_id", "by")
    LEAK_ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    leak_id: bytes
    by: str
    def __init__(self, leak_id: _Optional[bytes] = ..., by: _Optional[str] = ...) -> None: ...

class CommitLeakResponse(_message.Message):
    __slots__ = ("leak", "matches", "overlaps")
    LEAK_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    OVERLAPS_FIELD_NUMBER: _ClassVar[int]
    leak: LeakEntry
    matches: _containers.RepeatedCompositeFieldContainer[LeakMatch]
    overlaps: _containers.RepeatedCompositeFieldContainer[LeakOverlap]
    def __init__(self, leak: _Optional[_Union[LeakEntry, _Mapping]] = ..., matches: _Optional[_Iterable[_Union[LeakMatch, _Mapping]]] = ..., overlaps: _Optional[_Iterable[_Union[LeakOverlap, _Mapping]]] = ...) -> None: ...

class LeakOverlap(_message.Message):
    __slots__ = ("number", "keys")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    number: int
    keys: int
    def __init__(self, number: _Optional[int] = ..., keys: _Optional[int] = ...) -> None: ...

class LeakMatch(_message.Message):
    __slots__ = ("member", "leaked", "keys")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    LEAKED_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    member: str
    leaked: int
    keys: int
    def __init__(self, member: _Optional[str] = ..., leaked: _Optional[int] = ..., keys: _Optional[int] = ...) -> None: ...

class LeakEntry(_message.Message):
    __slots__ = ("number", "name", "source", "found_at", "tlp", "confidence", "state", "keys", "loaded_at", "reporter")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FOUND_AT_FIELD_NUMBER: _ClassVar[int]
    TLP_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    LOADED_AT_FIELD_NUMBER: _ClassVar[int]
    REPORTER_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    source: str
    found_at: int
    tlp: Tlp
    confidence: LeakConfidence
    state: LeakState
    keys: int
    loaded_at: int
    reporter: str
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ..., source: _Optional[str] = ..., found_at: _Optional[int] = ..., tlp: _Optional[_Union[Tlp, str]] = ..., confidence: _Optional[_Union[LeakConfidence, str]] = ..., state: _Optional[_Union[LeakState, str]] = ..., keys: _Optional[int] = ..., loaded_at: _Optional[int] = ..., reporter: _Optional[str] = ...) -> None: ...

class ListLeaksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLeaksResponse(_message.Message):
    __slots__ = ("leaks",)
    LEAKS_FIELD_NUMBER: _ClassVar[int]
    leaks: _containers.RepeatedCompositeFieldContainer[LeakEntry]
    def __init__(self, leaks: _Optional[_Iterable[_Union[LeakEntry, _Mapping]]] = ...) -> None: ...

class JudgeLeakRequest(_message.Message):
    __slots__ = ("number", "judgement", "reason", "dry_run", "by")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    JUDGEMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    number: int
    judgement: LeakJudgement
    reason: str
    dry_run: bool
    by: str
    def __init__(self, number: _Optional[int] = ..., judgement: _Optional[_Union[LeakJudgement, str]] = ..., reason: _Optional[str] = ..., dry_run: bool = ..., by: _Optional[str] = ...) -> None: ...

class JudgeLeakResponse(_message.Message):
    __slots__ = ("leak", "matches", "overlaps")
    LEAK_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    OVERLAPS_FIELD_NUMBER: _ClassVar[int]
    leak: LeakEntry
    matches: _containers.RepeatedCompositeFieldContainer[LeakMatch]
    overlaps: _containers.RepeatedCompositeFieldContainer[LeakOverlap]
    def __init__(self, leak: _Optional[_Union[LeakEntry, _Mapping]] = ..., matches: _Optional[_Iterable[_Union[LeakMatch, _Mapping]]] = ..., overlaps: _Optional[_Iterable[_Union[LeakOverlap, _Mapping]]] = ...) -> None: ...

class ListTestersRequest(_message.Message):
    __slots__ = ("least",)
    LEAST_FIELD_NUMBER: _ClassVar[int]
    least: int
    def __init__(self, least: _Optional[int] = ...) -> None: ...

class ListTestersResponse(_message.Message):
    __slots__ = ("testers",)
    TESTERS_FIELD_NUMBER: _ClassVar[int]
    testers: _containers.RepeatedCompositeFieldContainer[Tester]
    def __init__(self, testers: _Optional[_Iterable[_Union[Tester, _Mapping]]] = ...) -> None: ...

class Tester(_message.Message):
    __slots__ = ("address", "keys", "members", "hour", "device")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    HOUR_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    address: int
    keys: int
    members: int
    hour: int
    device: int
    def __init__(self, address: _Optional[int] = ..., keys: _Optional[int] = ..., members: _Optional[int] = ..., hour: _Optional[int] = ..., device: _Optional[int] = ...) -> None: ...

class ListLeakSetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLeakSetsResponse(_message.Message):
    __slots__ = ("sets",)
    SETS_FIELD_NUMBER: _ClassVar[int]
    sets: _containers.RepeatedCompositeFieldContainer[LeakSet]
    def __init__(self, sets: _Optional[_Iterable[_Union[LeakSet, _Mapping]]] = ...) -> None: ...

class LeakSet(_message.Message):
    __slots__ = ("number", "keys", "confidence", "tlp", "chunks", "key_version")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TLP_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    number: int
    keys: int
    confidence: LeakConfidence
    tlp: Tlp
    chunks: _containers.RepeatedScalarFieldContainer[bytes]
    key_version: int
    def __init__(self, number: _Optional[int] = ..., keys: _Optional[int] = ..., confidence: _Optional[_Union[LeakConfidence, str]] = ..., tlp: _Optional[_Union[Tlp, str]] = ..., chunks: _Optional[_Iterable[bytes]] = ..., key_version: _Optional[int] = ...) -> None: ...

class GetLeakSetChunkRequest(_message.Message):
    __slots__ = ("number", "chunk")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    number: int
    chunk: int
    def __init__(self, number: _Optional[int] = ..., chunk: _Optional[int] = ...) -> None: ...

class GetLeakSetChunkResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class ConfirmLeakedKeysRequest(_message.Message):
    __slots__ = ("keys", "key_version")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    key_version: int
    def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., key_version: _Optional[int] = ...) -> None: ...

class ConfirmLeakedKeysResponse(_message.Message):
    __slots__ = ("leaked",)
    LEAKED_FIELD_NUMBER: _ClassVar[int]
    leaked: _containers.RepeatedCompositeFieldContainer[LeakedKey]
    def __init__(self, leaked: _Optional[_Iterable[_Union[LeakedKey, _Mapping]]] = ...) -> None: ...

class LeakedKey(_message.Message):
    __slots__ = ("key", "leaks")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEAKS_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    leaks: _containers.RepeatedCompositeFieldContainer[LeakEntry]
    def __init__(self, key: _Optional[bytes] = ..., leaks: _Optional[_Iterable[_Union[LeakEntry, _Mapping]]] = ...) -> None: ...
