"""JUnit XML: written from a report, read from anywhere."""

from harness.junit.duplicates import Duplicates
from harness.junit.read import read
from harness.junit.write import write

__all__ = ["Duplicates", "read", "write"]
