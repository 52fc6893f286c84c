"""Fixtures of all tests of the site."""

from served import address, browser

__all__ = ["address", "browser"]
