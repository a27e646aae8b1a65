"""`python -m harness.cli` is `conform`."""

from harness.cli.app import main

main()
