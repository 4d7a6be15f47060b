from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_KEY: _ClassVar[Kind]
    KIND_ADDRESS: _ClassVar[Kind]
    KIND_NETWORK: _ClassVar[Kind]
    KIND_DEVICE: _ClassVar[Kind]
    KIND_HOLDER: _ClassVar[Kind]

class Manner(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MANNER_UNSPECIFIED: _ClassVar[Manner]
    MANNER_USED: _ClassVar[Manner]
    MANNER_REJECTED: _ClassVar[Manner]
    MANNER_DECLARED: _ClassVar[Manner]

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEVEL_UNSPECIFIED: _ClassVar[Level]
    LEVEL_CLEAR: _ClassVar[Level]
    LEVEL_MONITOR: _ClassVar[Level]
    LEVEL_WARN: _ClassVar[Level]
    LEVEL_REAUTHENTICATE: _ClassVar[Level]
    LEVEL_REVOKE: _ClassVar[Level]

class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_UNSPECIFIED: _ClassVar[Scope]
    SCOPE_NOTHING: _ClassVar[Scope]
    SCOPE_WATCH: _ClassVar[Scope]
    SCOPE_TELL_HOLDER: _ClassVar[Scope]
    SCOPE_NEW_ORDERS_AND_WITHDRAWALS: _ClassVar[Scope]
    SCOPE_EVERYTHING: _ClassVar[Scope]

class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAUSE_UNSPECIFIED: _ClassVar[Cause]
    CAUSE_SUPPORTED: _ClassVar[Cause]
    CAUSE_WENT_ON: _ClassVar[Cause]
    CAUSE_LEAK: _ClassVar[Cause]
    CAUSE_FELL: _ClassVar[Cause]
    CAUSE_PROVED: _ClassVar[Cause]
    CAUSE_ENFORCED: _ClassVar[Cause]
    CAUSE_CORRECTED: _ClassVar[Cause]
    CAUSE_TOLD: _ClassVar[Cause]
    CAUSE_TIME: _ClassVar[Cause]

class CountBucket(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COUNT_BUCKET_UNSPECIFIED: _ClassVar[CountBucket]
    COUNT_BUCKET_ONE: _ClassVar[CountBucket]
    COUNT_BUCKET_2_TO_4: _ClassVar[CountBucket]
    COUNT_BUCKET_5_TO_9: _ClassVar[CountBucket]
    COUNT_BUCKET_10_TO_49: _ClassVar[CountBucket]
    COUNT_BUCKET_50_OR_MORE: _ClassVar[CountBucket]
KIND_UNSPECIFIED: Kind
KIND_KEY: Kind
KIND_ADDRESS: Kind
KIND_NETWORK: Kind
KIND_DEVICE: Kind
KIND_HOLDER: Kind
MANNER_UNSPECIFIED: Manner
MANNER_USED: Manner
MANNER_REJECTED: Manner
MANNER_DECLARED: Manner
LEVEL_UNSPECIFIED: Level
LEVEL_CLEAR: Level
LEVEL_MONITOR: Level
LEVEL_WARN: Level
LEVEL_REAUTHENTICATE: Level
LEVEL_REVOKE: Level
SCOPE_UNSPECIFIED: Scope
SCOPE_NOTHING: Scope
SCOPE_WATCH: Scope
SCOPE_TELL_HOLDER: Scope
SCOPE_NEW_ORDERS_AND_WITHDRAWALS: Scope
SCOPE_EVERYTHING: Scope
CAUSE_UNSPECIFIED: Cause
CAUSE_SUPPORTED: Cause
CAUSE_WENT_ON: Cause
CAUSE_LEAK: Cause
CAUSE_FELL: Cause
CAUSE_PROVED: Cause
CAUSE_ENFORCED: Cause
CAUSE_CORRECTED: Cause
CAUSE_TOLD: Cause
CAUSE_TIME: Cause
COUNT_BUCKET_UNSPECIFIED: CountBucket
COUNT_BUCKET_ONE: CountBucket
COUNT_BUCKET_2_TO_4: CountBucket
COUNT_BUCKET_5_TO_9: CountBucket
COUNT_BUCKET_10_TO_49: CountBucket
COUNT_BUCKET_50_OR_MORE: CountBucket

class Reason(_message.Message):
    __slots__ = ("code", "contribution", "count", "hour")
    CODE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    HOUR_FIELD_NUMBER: _ClassVar[int]
    code: str
    contribution: float
    count: CountBucket
    hour: int
    def __init__(self, code: _Optional[str] = ..., contribution: _Optional[float] = ..., count: _Optional[_Union[CountBucket, str]] = ..., hour: _Optional[int] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("key", "level", "score", "reasons", "sequence", "decided_at", "valid_until", "policy_digest", "evidence_digest", "scope", "deadline", "cause", "member", "log_index")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    level: Level
    score: float
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    sequence: int
    decided_at: int
    valid_until: int
    policy_digest: bytes
    evidence_digest: bytes
    scope: Scope
    deadline: int
    cause: Cause
    member: str
    log_index: int
    def __init__(self, key: _Optional[bytes] = ..., level: _Optional[_Union[Level, str]] = ..., score: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., sequence: _Optional[int] = ..., decided_at: _Optional[int] = ..., valid_until: _Optional[int] = ..., policy_digest: _Optional[bytes] = ..., evidence_digest: _Optional[bytes] = ..., scope: _Optional[_Union[Scope, str]] = ..., deadline: _Optional[int] = ..., cause: _Optional[_Union[Cause, str]] = ..., member: _Optional[str] = ..., log_index: _Optional[int] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("payload", "payload_type", "signatures")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    payload_type: str
    signatures: _containers.RepeatedCompositeFieldContainer[Signature]
    def __init__(self, payload: _Optional[bytes] = ..., payload_type: _Optional[str] = ..., signatures: _Optional[_Iterable[_Union[Signature, _Mapping]]] = ...) -> None: ...

class Signature(_message.Message):
    __slots__ = ("sig", "keyid")
    SIG_FIELD_NUMBER: _ClassVar[int]
    KEYID_FIELD_NUMBER: _ClassVar[int]
    sig: bytes
    keyid: str
    def __init__(self, sig: _Optional[bytes] = ..., keyid: _Optional[str] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("index", "code", "field", "expected")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    index: int
    code: str
    field: str
    expected: str
    def __init__(self, index: _Optional[int] = ..., code: _Optional[str] = ..., field: _Optional[str] = ..., expected: _Optional[str] = ...) -> None: ...
