from daxa_api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Act(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACT_UNSPECIFIED: _ClassVar[Act]
    ACT_MONITORED: _ClassVar[Act]
    ACT_WARNED: _ClassVar[Act]
    ACT_REAUTHENTICATED: _ClassVar[Act]
    ACT_REVOKED: _ClassVar[Act]
    ACT_JUDGED_FALSE: _ClassVar[Act]

class Ground(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUND_UNSPECIFIED: _ClassVar[Ground]
    GROUND_ONE_HOLDER: _ClassVar[Ground]
    GROUND_SHARED_PREMISES: _ClassVar[Ground]
    GROUND_LICENSED_SERVICE: _ClassVar[Ground]
    GROUND_OWN_MISTAKE: _ClassVar[Ground]
    GROUND_NOT_A_LEAK: _ClassVar[Ground]
    GROUND_OTHER: _ClassVar[Ground]

class AppealStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPEAL_STATUS_UNSPECIFIED: _ClassVar[AppealStatus]
    APPEAL_STATUS_OPEN: _ClassVar[AppealStatus]
    APPEAL_STATUS_GRANTED: _ClassVar[AppealStatus]
    APPEAL_STATUS_DENIED: _ClassVar[AppealStatus]
ACT_UNSPECIFIED: Act
ACT_MONITORED: Act
ACT_WARNED: Act
ACT_REAUTHENTICATED: Act
ACT_REVOKED: Act
ACT_JUDGED_FALSE: Act
GROUND_UNSPECIFIED: Ground
GROUND_ONE_HOLDER: Ground
GROUND_SHARED_PREMISES: Ground
GROUND_LICENSED_SERVICE: Ground
GROUND_OWN_MISTAKE: Ground
GROUND_NOT_A_LEAK: Ground
GROUND_OTHER: Ground
APPEAL_STATUS_UNSPECIFIED: AppealStatus
APPEAL_STATUS_OPEN: AppealStatus
APPEAL_STATUS_GRANTED: AppealStatus
APPEAL_STATUS_DENIED: AppealStatus

class BatchGetVerdictsRequest(_message.Message):
    __slots__ = ("keys", "key_version")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    key_version: int
    def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., key_version: _Optional[int] = ...) -> None: ...

class BatchGetVerdictsResponse(_message.Message):
    __slots__ = ("verdicts",)
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[_types_pb2.Envelope]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[_types_pb2.Envelope, _Mapping]]] = ...) -> None: ...

class GetVerdictDigestRequest(_message.Message):
    __slots__ = ("at_sequence",)
    AT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    at_sequence: int
    def __init__(self, at_sequence: _Optional[int] = ...) -> None: ...

class GetVerdictDigestResponse(_message.Message):
    __slots__ = ("digest", "keys", "head_sequence", "now")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    keys: int
    head_sequence: int
    now: int
    def __init__(self, digest: _Optional[bytes] = ..., keys: _Optional[int] = ..., head_sequence: _Optional[int] = ..., now: _Optional[int] = ...) -> None: ...

class WatchVerdictsRequest(_message.Message):
    __slots__ = ("after_sequence",)
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    after_sequence: int
    def __init__(self, after_sequence: _Optional[int] = ...) -> None: ...

class WatchVerdictsResponse(_message.Message):
    __slots__ = ("verdicts", "head_sequence")
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[_types_pb2.Envelope]
    head_sequence: int
    def __init__(self, verdicts: _Optional[_Iterable[_Union[_types_pb2.Envelope, _Mapping]]] = ..., head_sequence: _Optional[int] = ...) -> None: ...

class ReportEnforcementRequest(_message.Message):
    __slots__ = ("report_id", "key", "sequence", "act", "key_version")
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    report_id: bytes
    key: bytes
    sequence: int
    act: Act
    key_version: int
    def __init__(self, report_id: _Optional[bytes] = ..., key: _Optional[bytes] = ..., sequence: _Optional[int] = ..., act: _Optional[_Union[Act, str]] = ..., key_version: _Optional[int] = ...) -> None: ...

class ReportEnforcementResponse(_message.Message):
    __slots__ = ("reported_at", "changed", "verdict")
    REPORTED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    reported_at: int
    changed: bool
    verdict: _types_pb2.Envelope
    def __init__(self, reported_at: _Optional[int] = ..., changed: bool = ..., verdict: _Optional[_Union[_types_pb2.Envelope, _Mapping]] = ...) -> None: ...

class AppealRequest(_message.Message):
    __slots__ = ("appeal_id", "key", "sequence", "ground", "reference", "key_version")
    APPEAL_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    GROUND_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    appeal_id: bytes
    key: bytes
    sequence: int
    ground: Ground
    reference: str
    key_version: int
    def __init__(self, appeal_id: _Optional[bytes] = ..., key: _Optional[bytes] = ..., sequence: _Optional[int] = ..., ground: _Optional[_Union[Ground, str]] = ..., reference: _Optional[str] = ..., key_version: _Optional[int] = ...) -> None: ...

class AppealResponse(_message.Message):
    __slots__ = ("number", "filed_at", "status", "answered_at")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FILED_AT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_AT_FIELD_NUMBER: _ClassVar[int]
    number: int
    filed_at: int
    status: AppealStatus
    answered_at: int
    def __init__(self, number: _Optional[int] = ..., filed_at: _Optional[int] = ..., status: _Optional[_Union[AppealStatus, str]] = ..., answered_at: _Optional[int] = ...) -> None: ...
