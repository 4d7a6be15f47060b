from daxa_api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
