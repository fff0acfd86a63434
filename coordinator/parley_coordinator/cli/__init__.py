"""The `parley` command: starts a mesh on this machine, and talks to a coordinator over REST.

Data goes to stdout, talk to stderr. The exit status says what a script can do about a failure:

===  ==========================================================================
0    done; a run that waits for a person is no failure
1    something went wrong inside; `check`: there are findings; `test`: a case failed
2    the command or the request is wrong
3    no valid token
4    not permitted
5    there is no such thing
6    somebody or something was faster
7    the coordinator or the mesh cannot be reached
8    the run that was waited for ended without success
130  stopped by Ctrl-C; what was started goes on
===  ==========================================================================

Each command imports what it needs when it runs: `parley --help` must not wait for an HTTP library.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from parley_coordinator.cli.edge import run  # noqa: PLC0415 - see above

    run()
