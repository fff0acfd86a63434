"""docs/conformance.md counts what there is."""

from __future__ import annotations

import re

from tests.house.sources import ROOT, table, text

FEATURES = ROOT / "tests" / "conformance" / "features"


def test_the_page_has_every_feature_and_the_number_of_its_scenarios() -> None:
    told = {row[0]: int(row[1]) for row in table("docs/conformance.md", "feature")[1:]}

    assert told == {
        path.stem: len(re.findall(r"^\s*Scenario(?: Outline)?:", text(path), re.MULTILINE))
        for path in FEATURES.glob("*.feature")
    }
