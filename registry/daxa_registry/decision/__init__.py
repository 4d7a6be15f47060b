"""Pure decisions: evidence, policy and time in, assessments and verdicts out. No I/O, no clock, no randomness."""
