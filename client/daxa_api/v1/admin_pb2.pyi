from daxa_api.v1 import types_pb2 as _types_pb2
from daxa_api.v1 import verdict_pb2 as _verdict_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListAppealsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAppealsResponse(_message.Message):
    __slots__ = ("appeals",)
    APPEALS_FIELD_NUMBER: _ClassVar[int]
    appeals: _containers.RepeatedCompositeFieldContainer[AppealEntry]
    def __init__(self, appeals: _Optional[_Iterable[_Union[AppealEntry, _Mapping]]] = ...) -> None: ...

class AppealEntry(_message.Message):
    __slots__ = ("member", "number", "sequence", "subject", "ground", "reference", "filed_at", "status", "answered_at", "answered_by", "reason", "corrected")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    GROUND_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    FILED_AT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_AT_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    member: str
    number: int
    sequence: int
    subject: str
    ground: _verdict_pb2.Ground
    reference: str
    filed_at: int
    status: _verdict_pb2.AppealStatus
    answered_at: int
    answered_by: str
    reason: str
    corrected: int
    def __init__(self, member: _Optional[str] = ..., number: _Optional[int] = ..., sequence: _Optional[int] = ..., subject: _Optional[str] = ..., ground: _Optional[_Union[_verdict_pb2.Ground, str]] = ..., reference: _Optional[str] = ..., filed_at: _Optional[int] = ..., status: _Optional[_Union[_verdict_pb2.AppealStatus, str]] = ..., answered_at: _Optional[int] = ..., answered_by: _Optional[str] = ..., reason: _Optional[str] = ..., corrected: _Optional[int] = ...) -> None: ...

class AnswerAppealRequest(_message.Message):
    __slots__ = ("member", "number", "grant", "reason", "dry_run", "by")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    member: str
    number: int
    grant: bool
    reason: str
    dry_run: bool
    by: str
    def __init__(self, member: _Optional[str] = ..., number: _Optional[int] = ..., grant: bool = ..., reason: _Optional[str] = ..., dry_run: bool = ..., by: _Optional[str] = ...) -> None: ...

class AnswerAppealResponse(_message.Message):
    __slots__ = ("appeal", "verdict", "corrections")
    APPEAL_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    appeal: AppealEntry
    verdict: _types_pb2.Verdict
    corrections: _containers.RepeatedCompositeFieldContainer[Correction]
    def __init__(self, appeal: _Optional[_Union[AppealEntry, _Mapping]] = ..., verdict: _Optional[_Union[_types_pb2.Verdict, _Mapping]] = ..., corrections: _Optional[_Iterable[_Union[Correction, _Mapping]]] = ...) -> None: ...

class Correction(_message.Message):
    __slots__ = ("member", "subject", "sequence", "before", "after")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    member: str
    subject: str
    sequence: int
    before: _types_pb2.Level
    after: _types_pb2.Level
    def __init__(self, member: _Optional[str] = ..., subject: _Optional[str] = ..., sequence: _Optional[int] = ..., before: _Optional[_Union[_types_pb2.Level, str]] = ..., after: _Optional[_Union[_types_pb2.Level, str]] = ...) -> None: ...

class DeclareInfrastructureRequest(_message.Message):
    __slots__ = ("fingerprints", "name", "until", "key_version", "dry_run", "by")
    FINGERPRINTS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    fingerprints: _containers.RepeatedScalarFieldContainer[bytes]
    name: str
    until: int
    key_version: int
    dry_run: bool
    by: str
    def __init__(self, fingerprints: _Optional[_Iterable[bytes]] = ..., name: _Optional[str] = ..., until: _Optional[int] = ..., key_version: _Optional[int] = ..., dry_run: bool = ..., by: _Optional[str] = ...) -> None: ...

class DeclareInfrastructureResponse(_message.Message):
    __slots__ = ("known", "suspects")
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    SUSPECTS_FIELD_NUMBER: _ClassVar[int]
    known: int
    suspects: int
    def __init__(self, known: _Optional[int] = ..., suspects: _Optional[int] = ...) -> None: ...

class ListInfrastructureRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListInfrastructureResponse(_message.Message):
    __slots__ = ("infrastructure",)
    INFRASTRUCTURE_FIELD_NUMBER: _ClassVar[int]
    infrastructure: _containers.RepeatedCompositeFieldContainer[Infrastructure]
    def __init__(self, infrastructure: _Optional[_Iterable[_Union[Infrastructure, _Mapping]]] = ...) -> None: ...

class Infrastructure(_message.Message):
    __slots__ = ("number", "name", "until", "subjects")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    until: int
    subjects: int
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ..., until: _Optional[int] = ..., subjects: _Optional[int] = ...) -> None: ...

class RemoveInfrastructureRequest(_message.Message):
    __slots__ = ("number", "dry_run", "by")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    number: int
    dry_run: bool
    by: str
    def __init__(self, number: _Optional[int] = ..., dry_run: bool = ..., by: _Optional[str] = ...) -> None: ...

class RemoveInfrastructureResponse(_message.Message):
    __slots__ = ("infrastructure",)
    INFRASTRUCTURE_FIELD_NUMBER: _ClassVar[int]
    infrastructure: Infrastructure
    def __init__(self, infrastructure: _Optional[_Union[Infrastructure, _Mapping]] = ...) -> None: ...

class ListCasesRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class ListCasesResponse(_message.Message):
    __slots__ = ("cases",)
    CASES_FIELD_NUMBER: _ClassVar[int]
    cases: _containers.RepeatedCompositeFieldContainer[Case]
    def __init__(self, cases: _Optional[_Iterable[_Union[Case, _Mapping]]] = ...) -> None: ...

class Case(_message.Message):
    __slots__ = ("number", "parts", "addresses", "edges")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    number: int
    parts: _containers.RepeatedCompositeFieldContainer[CasePart]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    edges: _containers.RepeatedCompositeFieldContainer[CaseEdge]
    def __init__(self, number: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[CasePart, _Mapping]]] = ..., addresses: _Optional[_Iterable[str]] = ..., edges: _Optional[_Iterable[_Union[CaseEdge, _Mapping]]] = ...) -> None: ...

class CasePart(_message.Message):
    __slots__ = ("subject", "member", "level", "score", "role", "lead", "first_hour", "sequence")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    LEAD_FIELD_NUMBER: _ClassVar[int]
    FIRST_HOUR_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    subject: str
    member: str
    level: _types_pb2.Level
    score: float
    role: str
    lead: float
    first_hour: int
    sequence: int
    def __init__(self, subject: _Optional[str] = ..., member: _Optional[str] = ..., level: _Optional[_Union[_types_pb2.Level, str]] = ..., score: _Optional[float] = ..., role: _Optional[str] = ..., lead: _Optional[float] = ..., first_hour: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class CaseEdge(_message.Message):
    __slots__ = ("subject", "address", "hours")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    subject: str
    address: str
    hours: int
    def __init__(self, subject: _Optional[str] = ..., address: _Optional[str] = ..., hours: _Optional[int] = ...) -> None: ...

class ReplayVerdictRequest(_message.Message):
    __slots__ = ("member", "sequence")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    member: str
    sequence: int
    def __init__(self, member: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class ReplayVerdictResponse(_message.Message):
    __slots__ = ("told", "replayed", "differences", "act")
    TOLD_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    told: _types_pb2.Verdict
    replayed: _types_pb2.Verdict
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    act: _verdict_pb2.Act
    def __init__(self, told: _Optional[_Union[_types_pb2.Verdict, _Mapping]] = ..., replayed: _Optional[_Union[_types_pb2.Verdict, _Mapping]] = ..., differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ..., act: _Optional[_Union[_verdict_pb2.Act, str]] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("field", "told", "replayed")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    TOLD_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    field: str
    told: str
    replayed: str
    def __init__(self, field: _Optional[str] = ..., told: _Optional[str] = ..., replayed: _Optional[str] = ...) -> None: ...

class ListPoliciesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPoliciesResponse(_message.Message):
    __slots__ = ("policies",)
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[PolicyEntry]
    def __init__(self, policies: _Optional[_Iterable[_Union[PolicyEntry, _Mapping]]] = ...) -> None: ...

class PolicyEntry(_message.Message):
    __slots__ = ("digest", "version", "active", "activated_at", "activated_by", "tested_at")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    ACTIVATED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTIVATED_BY_FIELD_NUMBER: _ClassVar[int]
    TESTED_AT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    version: str
    active: bool
    activated_at: int
    activated_by: str
    tested_at: int
    def __init__(self, digest: _Optional[str] = ..., version: _Optional[str] = ..., active: bool = ..., activated_at: _Optional[int] = ..., activated_by: _Optional[str] = ..., tested_at: _Optional[int] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("policy", "text")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    policy: PolicyEntry
    text: str
    def __init__(self, policy: _Optional[_Union[PolicyEntry, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class TestPolicyRequest(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class TestPolicyResponse(_message.Message):
    __slots__ = ("test", "moves")
    TEST_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    test: PolicyTest
    moves: _containers.RepeatedCompositeFieldContainer[PolicyMove]
    def __init__(self, test: _Optional[_Union[PolicyTest, _Mapping]] = ..., moves: _Optional[_Iterable[_Union[PolicyMove, _Mapping]]] = ...) -> None: ...

class PolicyTest(_message.Message):
    __slots__ = ("digest", "version", "tested_at", "subjects", "shifts")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TESTED_AT_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    SHIFTS_FIELD_NUMBER: _ClassVar[int]
    digest: str
    version: str
    tested_at: int
    subjects: int
    shifts: _containers.RepeatedCompositeFieldContainer[PolicyShift]
    def __init__(self, digest: _Optional[str] = ..., version: _Optional[str] = ..., tested_at: _Optional[int] = ..., subjects: _Optional[int] = ..., shifts: _Optional[_Iterable[_Union[PolicyShift, _Mapping]]] = ...) -> None: ...

class PolicyShift(_message.Message):
    __slots__ = ("member", "before", "after", "subjects")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    member: str
    before: _types_pb2.Level
    after: _types_pb2.Level
    subjects: int
    def __init__(self, member: _Optional[str] = ..., before: _Optional[_Union[_types_pb2.Level, str]] = ..., after: _Optional[_Union[_types_pb2.Level, str]] = ..., subjects: _Optional[int] = ...) -> None: ...

class PolicyMove(_message.Message):
    __slots__ = ("member", "subject", "before", "after", "score_before", "score_after")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SCORE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_AFTER_FIELD_NUMBER: _ClassVar[int]
    member: str
    subject: str
    before: _types_pb2.Level
    after: _types_pb2.Level
    score_before: float
    score_after: float
    def __init__(self, member: _Optional[str] = ..., subject: _Optional[str] = ..., before: _Optional[_Union[_types_pb2.Level, str]] = ..., after: _Optional[_Union[_types_pb2.Level, str]] = ..., score_before: _Optional[float] = ..., score_after: _Optional[float] = ...) -> None: ...

class ActivatePolicyRequest(_message.Message):
    __slots__ = ("text", "dry_run", "by")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    text: str
    dry_run: bool
    by: str
    def __init__(self, text: _Optional[str] = ..., dry_run: bool = ..., by: _Optional[str] = ...) -> None: ...

class ActivatePolicyResponse(_message.Message):
    __slots__ = ("test",)
    TEST_FIELD_NUMBER: _ClassVar[int]
    test: PolicyTest
    def __init__(self, test: _Optional[_Union[PolicyTest, _Mapping]] = ...) -> None: ...
