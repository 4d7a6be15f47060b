from daxa_api.v1 import leak_pb2 as _leak_pb2
from daxa_api.v1 import types_pb2 as _types_pb2
from daxa_api.v1 import verdict_pb2 as _verdict_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IncidentClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INCIDENT_CLASS_UNSPECIFIED: _ClassVar[IncidentClass]
    INCIDENT_CLASS_CREDENTIAL_COMPROMISE: _ClassVar[IncidentClass]
    INCIDENT_CLASS_LENT_CREDENTIALS: _ClassVar[IncidentClass]
    INCIDENT_CLASS_MANIPULATION: _ClassVar[IncidentClass]
INCIDENT_CLASS_UNSPECIFIED: IncidentClass
INCIDENT_CLASS_CREDENTIAL_COMPROMISE: IncidentClass
INCIDENT_CLASS_LENT_CREDENTIALS: IncidentClass
INCIDENT_CLASS_MANIPULATION: IncidentClass

class Incident(_message.Message):
    __slots__ = ("number", "title", "opened_at", "opened_by", "closed_at", "closed_by", "outcome", "leaks", "verdicts")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CLASS_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    OPENED_BY_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_BY_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    LEAKS_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    title: str
    opened_at: int
    opened_by: str
    closed_at: int
    closed_by: str
    outcome: str
    leaks: int
    verdicts: int
    def __init__(self, number: _Optional[int] = ..., title: _Optional[str] = ..., opened_at: _Optional[int] = ..., opened_by: _Optional[str] = ..., closed_at: _Optional[int] = ..., closed_by: _Optional[str] = ..., outcome: _Optional[str] = ..., leaks: _Optional[int] = ..., verdicts: _Optional[int] = ..., **kwargs) -> None: ...

class OpenIncidentRequest(_message.Message):
    __slots__ = ("title", "dry_run", "by")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CLASS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    title: str
    dry_run: bool
    by: str
    def __init__(self, title: _Optional[str] = ..., dry_run: bool = ..., by: _Optional[str] = ..., **kwargs) -> None: ...

class OpenIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class LinkIncidentRequest(_message.Message):
    __slots__ = ("number", "leak", "case", "member", "sequence", "dry_run", "by")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LEAK_FIELD_NUMBER: _ClassVar[int]
    CASE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    number: int
    leak: int
    case: int
    member: str
    sequence: int
    dry_run: bool
    by: str
    def __init__(self, number: _Optional[int] = ..., leak: _Optional[int] = ..., case: _Optional[int] = ..., member: _Optional[str] = ..., sequence: _Optional[int] = ..., dry_run: bool = ..., by: _Optional[str] = ...) -> None: ...

class LinkIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class CloseIncidentRequest(_message.Message):
    __slots__ = ("number", "outcome", "dry_run", "by")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    number: int
    outcome: str
    dry_run: bool
    by: str
    def __init__(self, number: _Optional[int] = ..., outcome: _Optional[str] = ..., dry_run: bool = ..., by: _Optional[str] = ...) -> None: ...

class CloseIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class ListIncidentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListIncidentsResponse(_message.Message):
    __slots__ = ("incidents",)
    INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    incidents: _containers.RepeatedCompositeFieldContainer[Incident]
    def __init__(self, incidents: _Optional[_Iterable[_Union[Incident, _Mapping]]] = ...) -> None: ...

class GetIncidentRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class GetIncidentResponse(_message.Message):
    __slots__ = ("incident", "leaks", "verdicts", "members", "more")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    LEAKS_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    leaks: _containers.RepeatedCompositeFieldContainer[_leak_pb2.LeakEntry]
    verdicts: _containers.RepeatedCompositeFieldContainer[IncidentVerdict]
    members: _containers.RepeatedScalarFieldContainer[str]
    more: int
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ..., leaks: _Optional[_Iterable[_Union[_leak_pb2.LeakEntry, _Mapping]]] = ..., verdicts: _Optional[_Iterable[_Union[IncidentVerdict, _Mapping]]] = ..., members: _Optional[_Iterable[str]] = ..., more: _Optional[int] = ...) -> None: ...

class IncidentVerdict(_message.Message):
    __slots__ = ("member", "sequence", "level", "cause", "decided_at", "reasons", "acts", "told_at", "told", "corrected_at", "letter")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    ACTS_FIELD_NUMBER: _ClassVar[int]
    TOLD_AT_FIELD_NUMBER: _ClassVar[int]
    TOLD_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_AT_FIELD_NUMBER: _ClassVar[int]
    LETTER_FIELD_NUMBER: _ClassVar[int]
    member: str
    sequence: int
    level: _types_pb2.Level
    cause: _types_pb2.Cause
    decided_at: int
    reasons: _containers.RepeatedScalarFieldContainer[str]
    acts: _containers.RepeatedCompositeFieldContainer[IncidentAct]
    told_at: int
    told: _types_pb2.Level
    corrected_at: int
    letter: str
    def __init__(self, member: _Optional[str] = ..., sequence: _Optional[int] = ..., level: _Optional[_Union[_types_pb2.Level, str]] = ..., cause: _Optional[_Union[_types_pb2.Cause, str]] = ..., decided_at: _Optional[int] = ..., reasons: _Optional[_Iterable[str]] = ..., acts: _Optional[_Iterable[_Union[IncidentAct, _Mapping]]] = ..., told_at: _Optional[int] = ..., told: _Optional[_Union[_types_pb2.Level, str]] = ..., corrected_at: _Optional[int] = ..., letter: _Optional[str] = ...) -> None: ...

class IncidentAct(_message.Message):
    __slots__ = ("act", "at")
    ACT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    act: _verdict_pb2.Act
    at: int
    def __init__(self, act: _Optional[_Union[_verdict_pb2.Act, str]] = ..., at: _Optional[int] = ...) -> None: ...
