"""Checks of this machine: Python, packages, the home directory, who may read what is secret."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Final

from parley_coordinator.cli.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKAGE: Final = "parley-mesh"
OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 35, 0)
"""The first with RETURNING."""
LEAST_FREE: Final = 100 * 2**20
LITTLE_FREE: Final = 2**30
_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_OTHERS: Final = 0o077
_TOKEN_FILES: Final = ("tokens.json", "mesh-token")


def python(
    running: tuple[int, ...] = sys.version_info[:3],
    sqlite: tuple[int, ...] = sqlite3.sqlite_version_info,
) -> list[Finding]:
    words = f"Python {_dotted(running)}, SQLite {_dotted(sqlite)}"
    if running < OLDEST_PYTHON:
        return [problem("python", words, f"use Python {_dotted(OLDEST_PYTHON)} or later")]
    if sqlite < OLDEST_SQLITE:
        return [
            problem("python", words, f"use a Python with SQLite {_dotted(OLDEST_SQLITE)} or later")
        ]
    return [ok("python", words)]


def packages(installed: Callable[[str], str] = version) -> list[Finding]:
    """Say whether everything that Parley needs is installed; not whether versions fit."""
    try:
        own, needed = installed(PACKAGE), requires(PACKAGE) or []
    except PackageNotFoundError:
        return [
            problem("packages", f"{PACKAGE} is not installed", f"pip install {PACKAGE}, or -e .")
        ]
    names = sorted(
        found[0]
        for each in needed
        if "extra ==" not in each and (found := _REQUIREMENT.match(each)) is not None
    )
    missing = []
    for name in names:
        try:
            installed(name)
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        what = f"{PACKAGE} {own} lacks {', '.join(missing)}"
        return [problem("packages", what, "install the package again, with its dependencies")]
    return [ok("packages", f"{PACKAGE} {own} and {len(names)} packages that it needs")]


def home(folder: Path) -> list[Finding]:
    """Say whether the home can be written, by trying it; a home that is not there can be made."""
    check = "home"
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as exc:
        what = f"{existing} cannot be written: {exc.strerror}"
        return [problem(check, what, "make it writable for this user, or use another --home")]
    if existing != folder:
        return [ok(check, f"{folder} is not there yet; the first start makes it")]
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return [
            warning(check, f"{folder} may be written by others", f"chmod go-w {folder}"),
        ]
    return [ok(check, f"{folder.absolute()} can be written")]


def disk(
    folder: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
) -> list[Finding]:
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    _, _, free = usage(existing)
    what = f"{_size(free)} free where {folder} is"
    if free < LEAST_FREE:
        return [problem("disk", what, "free some space: nothing can be written down without")]
    if free < LITTLE_FREE:
        return [warning("disk", what, "free some space before it runs out")]
    return [ok("disk", what)]


def tokens(folder: Path) -> list[Finding]:
    """Say whether files with tokens are for their owner alone."""
    found = [path for name in _TOKEN_FILES if (path := folder / name).exists()]
    open_ = [path for path in found if path.stat().st_mode & _OTHERS]
    if open_:
        names = " ".join(map(str, open_))
        return [problem("tokens", f"others may read {names}", f"chmod 600 {names}")]
    if not found:
        return [ok("tokens", "there are none yet; the first start makes them")]
    return [ok("tokens", f"{' and '.join(path.name for path in found)}: for their owner alone")]


def secrets(folder: Path) -> list[Finding]:
    """Say whether the files of secrets are such as a run would be given."""
    check = "secrets"
    if not folder.is_dir():
        return [ok(check, f"no folder {folder}: no workflow gets a secret")]
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as exc:
        what = f"{folder} cannot be read: {exc.strerror}"
        return [problem(check, what, "let the user of the coordinator read it")]
    findings = []
    open_ = [path for path in files if path.stat().st_mode & _OTHERS]
    if open_:
        names = " ".join(map(str, open_))
        findings.append(
            problem(check, f"others may read {names}; runs do not get it", f"chmod 600 {names}")
        )
    hidden = [path for path in files if not os.access(path, os.R_OK)]
    if hidden:
        names = ", ".join(path.name for path in hidden)
        findings.append(
            problem(check, f"this user cannot read {names}", "chown it to the coordinator's user")
        )
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        findings.append(
            warning(check, f"others may put files into {folder}", f"chmod go-w {folder}")
        )
    return findings or [ok(check, f"{len(files)} in {folder}, for their owner alone")]


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
