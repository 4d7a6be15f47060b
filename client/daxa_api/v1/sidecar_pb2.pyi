from daxa_api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RawSighting(_message.Message):
    __slots__ = ("key", "address", "manner", "user_agent", "ja4", "headers", "account", "holder", "seen_at")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KEY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MANNER_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    JA4_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    key: str
    address: str
    manner: _types_pb2.Manner
    user_agent: str
    ja4: str
    headers: _containers.ScalarMap[str, str]
    account: str
    holder: bytes
    seen_at: float
    def __init__(self, key: _Optional[str] = ..., address: _Optional[str] = ..., manner: _Optional[_Union[_types_pb2.Manner, str]] = ..., user_agent: _Optional[str] = ..., ja4: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., account: _Optional[str] = ..., holder: _Optional[bytes] = ..., seen_at: _Optional[float] = ...) -> None: ...

class ObserveResponse(_message.Message):
    __slots__ = ("taken", "refused")
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    taken: int
    refused: int
    def __init__(self, taken: _Optional[int] = ..., refused: _Optional[int] = ...) -> None: ...

class GetLocalVerdictsRequest(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class GetLocalVerdictsResponse(_message.Message):
    __slots__ = ("verdicts",)
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[LocalVerdict]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[LocalVerdict, _Mapping]]] = ...) -> None: ...

class WatchLocalVerdictsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchOfNoUseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeyOfNoUse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class LocalVerdict(_message.Message):
    __slots__ = ("key", "verdict")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    key: str
    verdict: _types_pb2.Verdict
    def __init__(self, key: _Optional[str] = ..., verdict: _Optional[_Union[_types_pb2.Verdict, _Mapping]] = ...) -> None: ...
