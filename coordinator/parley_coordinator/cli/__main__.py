"""`python -m parley_coordinator.cli`: the `parley` command without an installed script."""

from __future__ import annotations

from parley_coordinator.cli import main

if __name__ == "__main__":
    main()
