"""How good the verdicts are, beside what was published and what was tried before. Nothing here is part of the product."""
