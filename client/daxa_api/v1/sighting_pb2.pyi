from daxa_api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Sighting(_message.Message):
    __slots__ = ("key", "address", "network", "device", "holder", "account", "hour", "count", "manner")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    HOUR_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MANNER_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    address: bytes
    network: bytes
    device: bytes
    holder: bytes
    account: bytes
    hour: int
    count: int
    manner: _types_pb2.Manner
    def __init__(self, key: _Optional[bytes] = ..., address: _Optional[bytes] = ..., network: _Optional[bytes] = ..., device: _Optional[bytes] = ..., holder: _Optional[bytes] = ..., account: _Optional[bytes] = ..., hour: _Optional[int] = ..., count: _Optional[int] = ..., manner: _Optional[_Union[_types_pb2.Manner, str]] = ...) -> None: ...

class SubmitSightingsRequest(_message.Message):
    __slots__ = ("batch_id", "member", "key_version", "canonical_version", "sightings")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SIGHTINGS_FIELD_NUMBER: _ClassVar[int]
    batch_id: bytes
    member: str
    key_version: int
    canonical_version: int
    sightings: _containers.RepeatedCompositeFieldContainer[Sighting]
    def __init__(self, batch_id: _Optional[bytes] = ..., member: _Optional[str] = ..., key_version: _Optional[int] = ..., canonical_version: _Optional[int] = ..., sightings: _Optional[_Iterable[_Union[Sighting, _Mapping]]] = ...) -> None: ...

class SubmitSightingsResponse(_message.Message):
    __slots__ = ("accepted", "refusals", "verdicts", "of_no_use")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    OF_NO_USE_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    refusals: _containers.RepeatedCompositeFieldContainer[_types_pb2.Refusal]
    verdicts: _containers.RepeatedCompositeFieldContainer[_types_pb2.Envelope]
    of_no_use: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, accepted: _Optional[int] = ..., refusals: _Optional[_Iterable[_Union[_types_pb2.Refusal, _Mapping]]] = ..., verdicts: _Optional[_Iterable[_Union[_types_pb2.Envelope, _Mapping]]] = ..., of_no_use: _Optional[_Iterable[bytes]] = ...) -> None: ...

class WithdrawSightingsRequest(_message.Message):
    __slots__ = ("key", "first_hour", "last_hour", "key_version")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FIRST_HOUR_FIELD_NUMBER: _ClassVar[int]
    LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    first_hour: int
    last_hour: int
    key_version: int
    def __init__(self, key: _Optional[bytes] = ..., first_hour: _Optional[int] = ..., last_hour: _Optional[int] = ..., key_version: _Optional[int] = ...) -> None: ...

class WithdrawSightingsResponse(_message.Message):
    __slots__ = ("withdrawn",)
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    withdrawn: int
    def __init__(self, withdrawn: _Optional[int] = ...) -> None: ...
