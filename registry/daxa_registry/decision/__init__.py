"""Pure decisions: evidence, policy and time in, assessments and verdicts out. No I/O, no clock, no randomness.

>>> from daxa_registry.decision import assess, default_policy, evidence_of, facts_of
"""

from daxa_registry.decision.assess import Assessment, Term, assess
from daxa_registry.decision.evidence import Evidence, evidence_of
from daxa_registry.decision.places import PlaceFacts, facts_of
from daxa_registry.decision.policy import Policy, default_policy, default_policy_text, load_policy

__all__ = [
    "Assessment",
    "Evidence",
    "PlaceFacts",
    "Policy",
    "Term",
    "assess",
    "default_policy",
    "default_policy_text",
    "evidence_of",
    "facts_of",
    "load_policy",
]
