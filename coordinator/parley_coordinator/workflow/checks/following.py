"""What may run after a task, at any depth, without trying every pair of tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from parley_coordinator.workflow.flow import closure, ways_of

if TYPE_CHECKING:
    from parley_coordinator.workflow.checks.sites import Site

_List: TypeAlias = "tuple[Site | None, str]"
"""A list of tasks: whose it is, and in which slot."""


class Marks:
    """Some tasks, found by the lists that they, and the tasks around them, stand in."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.first: dict[Site, Site] = {}
        """By itself or a task around it."""
        self.bits: defaultdict[_List, int] = defaultdict(int)
        """By list: bit `i` if its task `i` is one or holds one."""
        for site in sites:
            for each in (site, *site.around):
                if each in self.first:
                    break
                self.first[each] = site
                self.bits[each.parent, each.slot] |= 1 << each.index


class Following:
    """Finds, among tasks that are marked, what may run after another.

    Args:
        around: What a branch and a function are called as slots of a site.
    """

    def __init__(self, sites: Sequence[Site], *, branches: str, function: str) -> None:
        self._branches = branches
        self._function = function
        self._lists: defaultdict[_List, list[Site]] = defaultdict(list)
        self._closures: dict[_List, list[int]] = {}
        for site in sites:
            self._lists[site.parent, site.slot].append(site)

    def first(self, site: Site, marks: Marks) -> Site | None:
        """Return one that may run after `site` has succeeded; of those near it, the next in the text.

        Branches beside it count: they run at the same time. Handlers of errors do not.
        """
        for where, index, bits in self._after(site):
            found = bits & marks.bits.get(where, 0)
            if found:
                later = found >> (index + 1)
                place = _lowest(later) + index + 1 if later else _lowest(found)
                return marks.first[self._lists[where][place]]
        return None

    def _after(self, site: Site) -> Iterator[tuple[_List, int, int]]:
        """Yield each list that may go on, from the inside out, where in it, and what follows there."""
        here: Site | None = site
        while here is not None and here.slot != self._function:
            where = (here.parent, here.slot)
            size = len(self._lists[where])
            if here.slot == self._branches:
                yield where, here.index, ((1 << size) - 1) & ~(1 << here.index)
            else:
                bits = self._closure(where, here)[here.index]
                yield where, here.index, bits
                if not bits >> size & 1:
                    return
            here = here.parent

    def _closure(self, where: _List, site: Site) -> list[int]:
        if where not in self._closures:
            self._closures[where] = closure(ways_of(site.siblings))
        return self._closures[where]


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1
