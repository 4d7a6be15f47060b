"""What to do about what ``daxa-client doctor`` finds, in the words of the catalogue.

>>> mend(ErrorCode.QUOTA_EXHAUSTED)
"wait for the next UTC day, or ask the evaluator's operator for a larger quota"
"""

from __future__ import annotations

from daxa_core.errors import ErrorCode

from .texts import Language, catalogue

_C = ErrorCode
MEND: dict[ErrorCode, str] = {
    **dict.fromkeys((_C.INVALID_KEY, _C.INVALID_ADDRESS, _C.INVALID_DEVICE, _C.INVALID_HOLDER), "INSTALL"),
    **dict.fromkeys((_C.INVALID_ACCOUNT, _C.INVALID_FILE, _C.INVALID_CONFIGURATION), "INSTALL"),
    **dict.fromkeys((_C.INVALID_LENGTH, _C.INVALID_VALUE, _C.MISSING_FIELD, _C.UNKNOWN_KIND), "VERSION"),
    **dict.fromkeys((_C.TOO_MANY_ITEMS, _C.EMPTY_BATCH, _C.MESSAGE_TOO_LARGE, _C.CURSOR_OUT_OF_RANGE), "VERSION"),
    **dict.fromkeys((_C.BATCH_ID_REUSED, _C.NOT_FOUND, _C.STALE_CANONICAL_VERSION), "VERSION"),
    **dict.fromkeys((_C.INVALID_SHARE, _C.INVALID_PROOF), "SHARE"),
    **dict.fromkeys((_C.INVALID_ELEMENT, _C.IDENTITY_ELEMENT, _C.INVALID_SCALAR), "SHARE"),
    **dict.fromkeys((_C.INVALID_PARAMETERS, _C.STALE_KEY_VERSION), "PARAMETERS"),
    _C.NOT_ENOUGH_EVALUATORS: "EVALUATORS",
    _C.CERTIFICATE_EXPIRED: "EXPIRED",
    _C.CERTIFICATE_FOREIGN: "FOREIGN",
    _C.CERTIFICATE_MISSING: "MISSING",
    _C.CERTIFICATE_REVOKED: "REVOKED",
    **dict.fromkeys((_C.CERTIFICATE_IDENTITY, _C.CERTIFICATE_AMBIGUOUS, _C.MEMBER_MISMATCH), "IDENTITY"),
    _C.NOT_A_MEMBER: "MEMBER",
    _C.PERMISSION_DENIED: "RIGHTS",
    _C.QUOTA_EXHAUSTED: "QUOTA",
    **dict.fromkeys((_C.OVERLOADED, _C.TOO_MANY_CALLS), "BUSY"),
    **dict.fromkeys((_C.UNAVAILABLE, _C.DEADLINE_EXCEEDED), "REACH"),
    _C.INTERNAL: "OPERATOR",
}
"""Every code that doctor can meet, which a test finds out."""


def mend(what: ErrorCode | str, language: Language = "en") -> str:
    """What to do: about a code, or as the catalogue's ``[mend]`` names it. A code that nobody expects here is an operator's."""
    name = MEND.get(what, "OPERATOR") if isinstance(what, ErrorCode) else what
    return catalogue()["mend"][name][language]


def problem(name: str, language: Language = "en") -> str:
    """What is found beside errors, as the catalogue's ``[problem]`` names it."""
    return catalogue()["problem"][name][language]
