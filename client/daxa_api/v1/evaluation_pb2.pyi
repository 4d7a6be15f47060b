from daxa_api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetParametersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetParametersResponse(_message.Message):
    __slots__ = ("suite", "key_version", "canonical_version", "threshold", "evaluators", "index", "kinds", "parameters_digest")
    SUITE_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_VERSION_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EVALUATORS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    suite: str
    key_version: int
    canonical_version: int
    threshold: int
    evaluators: int
    index: int
    kinds: _containers.RepeatedCompositeFieldContainer[KindParameters]
    parameters_digest: bytes
    def __init__(self, suite: _Optional[str] = ..., key_version: _Optional[int] = ..., canonical_version: _Optional[int] = ..., threshold: _Optional[int] = ..., evaluators: _Optional[int] = ..., index: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[KindParameters, _Mapping]]] = ..., parameters_digest: _Optional[bytes] = ...) -> None: ...

class KindParameters(_message.Message):
    __slots__ = ("kind", "commitments", "quota_remaining", "quota_per_day")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    QUOTA_REMAINING_FIELD_NUMBER: _ClassVar[int]
    QUOTA_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    kind: _types_pb2.Kind
    commitments: _containers.RepeatedScalarFieldContainer[bytes]
    quota_remaining: int
    quota_per_day: int
    def __init__(self, kind: _Optional[_Union[_types_pb2.Kind, str]] = ..., commitments: _Optional[_Iterable[bytes]] = ..., quota_remaining: _Optional[int] = ..., quota_per_day: _Optional[int] = ...) -> None: ...

class EvaluateRequest(_message.Message):
    __slots__ = ("kind", "key_version", "blinded_elements", "unproved")
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    BLINDED_ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    UNPROVED_FIELD_NUMBER: _ClassVar[int]
    kind: _types_pb2.Kind
    key_version: int
    blinded_elements: _containers.RepeatedScalarFieldContainer[bytes]
    unproved: bool
    def __init__(self, kind: _Optional[_Union[_types_pb2.Kind, str]] = ..., key_version: _Optional[int] = ..., blinded_elements: _Optional[_Iterable[bytes]] = ..., unproved: bool = ...) -> None: ...

class EvaluateResponse(_message.Message):
    __slots__ = ("evaluated_elements", "proof", "index")
    EVALUATED_ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    evaluated_elements: _containers.RepeatedScalarFieldContainer[bytes]
    proof: bytes
    index: int
    def __init__(self, evaluated_elements: _Optional[_Iterable[bytes]] = ..., proof: _Optional[bytes] = ..., index: _Optional[int] = ...) -> None: ...
