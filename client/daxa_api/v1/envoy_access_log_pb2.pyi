from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import wrappers_pb2 as _wrappers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnvoyRequestMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METHOD_UNSPECIFIED: _ClassVar[EnvoyRequestMethod]
    GET: _ClassVar[EnvoyRequestMethod]
    HEAD: _ClassVar[EnvoyRequestMethod]
    POST: _ClassVar[EnvoyRequestMethod]
    PUT: _ClassVar[EnvoyRequestMethod]
    DELETE: _ClassVar[EnvoyRequestMethod]
    CONNECT: _ClassVar[EnvoyRequestMethod]
    OPTIONS: _ClassVar[EnvoyRequestMethod]
    TRACE: _ClassVar[EnvoyRequestMethod]
    PATCH: _ClassVar[EnvoyRequestMethod]
METHOD_UNSPECIFIED: EnvoyRequestMethod
GET: EnvoyRequestMethod
HEAD: EnvoyRequestMethod
POST: EnvoyRequestMethod
PUT: EnvoyRequestMethod
DELETE: EnvoyRequestMethod
CONNECT: EnvoyRequestMethod
OPTIONS: EnvoyRequestMethod
TRACE: EnvoyRequestMethod
PATCH: EnvoyRequestMethod

class EnvoyStreamAccessLogsMessage(_message.Message):
    __slots__ = ("http_logs",)
    HTTP_LOGS_FIELD_NUMBER: _ClassVar[int]
    http_logs: EnvoyHTTPAccessLogEntries
    def __init__(self, http_logs: _Optional[_Union[EnvoyHTTPAccessLogEntries, _Mapping]] = ...) -> None: ...

class EnvoyStreamAccessLogsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnvoyHTTPAccessLogEntries(_message.Message):
    __slots__ = ("log_entry",)
    LOG_ENTRY_FIELD_NUMBER: _ClassVar[int]
    log_entry: _containers.RepeatedCompositeFieldContainer[EnvoyHTTPAccessLogEntry]
    def __init__(self, log_entry: _Optional[_Iterable[_Union[EnvoyHTTPAccessLogEntry, _Mapping]]] = ...) -> None: ...

class EnvoyHTTPAccessLogEntry(_message.Message):
    __slots__ = ("common_properties", "request", "response")
    COMMON_PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    common_properties: EnvoyAccessLogCommon
    request: EnvoyHTTPRequestProperties
    response: EnvoyHTTPResponseProperties
    def __init__(self, common_properties: _Optional[_Union[EnvoyAccessLogCommon, _Mapping]] = ..., request: _Optional[_Union[EnvoyHTTPRequestProperties, _Mapping]] = ..., response: _Optional[_Union[EnvoyHTTPResponseProperties, _Mapping]] = ...) -> None: ...

class EnvoyAccessLogCommon(_message.Message):
    __slots__ = ("downstream_remote_address", "tls_properties", "start_time", "intermediate_log_entry")
    DOWNSTREAM_REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TLS_PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    INTERMEDIATE_LOG_ENTRY_FIELD_NUMBER: _ClassVar[int]
    downstream_remote_address: EnvoyAddress
    tls_properties: EnvoyTLSProperties
    start_time: _timestamp_pb2.Timestamp
    intermediate_log_entry: bool
    def __init__(self, downstream_remote_address: _Optional[_Union[EnvoyAddress, _Mapping]] = ..., tls_properties: _Optional[_Union[EnvoyTLSProperties, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., intermediate_log_entry: bool = ...) -> None: ...

class EnvoyAddress(_message.Message):
    __slots__ = ("socket_address",)
    SOCKET_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    socket_address: EnvoySocketAddress
    def __init__(self, socket_address: _Optional[_Union[EnvoySocketAddress, _Mapping]] = ...) -> None: ...

class EnvoySocketAddress(_message.Message):
    __slots__ = ("address",)
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    address: str
    def __init__(self, address: _Optional[str] = ...) -> None: ...

class EnvoyTLSProperties(_message.Message):
    __slots__ = ("ja3_fingerprint",)
    JA3_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ja3_fingerprint: str
    def __init__(self, ja3_fingerprint: _Optional[str] = ...) -> None: ...

class EnvoyHTTPRequestProperties(_message.Message):
    __slots__ = ("request_method", "path", "user_agent", "original_path", "request_headers")
    class RequestHeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_PATH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HEADERS_FIELD_NUMBER: _ClassVar[int]
    request_method: EnvoyRequestMethod
    path: str
    user_agent: str
    original_path: str
    request_headers: _containers.ScalarMap[str, str]
    def __init__(self, request_method: _Optional[_Union[EnvoyRequestMethod, str]] = ..., path: _Optional[str] = ..., user_agent: _Optional[str] = ..., original_path: _Optional[str] = ..., request_headers: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EnvoyHTTPResponseProperties(_message.Message):
    __slots__ = ("response_code", "response_headers")
    class ResponseHeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RESPONSE_CODE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_HEADERS_FIELD_NUMBER: _ClassVar[int]
    response_code: _wrappers_pb2.UInt32Value
    response_headers: _containers.ScalarMap[str, str]
    def __init__(self, response_code: _Optional[_Union[_wrappers_pb2.UInt32Value, _Mapping]] = ..., response_headers: _Optional[_Mapping[str, str]] = ...) -> None: ...
