"""Fitting the policy's weights on simulated truth, and measuring what they are worth. Nothing here is part of the product."""
