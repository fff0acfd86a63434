"""Unit tests of workflow documents: cases, who answers in them, and what must come of a run.

Nothing here opens a file, a socket or a clock: `parley_coordinator.cli.testing` reads and prints.
"""
