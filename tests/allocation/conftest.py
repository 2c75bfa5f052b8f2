"""Fixtures of the allocation tests."""

from allocation_cases import gptoss

__all__ = ["gptoss"]
