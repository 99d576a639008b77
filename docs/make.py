"""Write what the documentation shows but does not say itself: figure, words, model card, schema, page of checks.

python docs/make.py
"""

from __future__ import annotations

import re
from pathlib import Path

from dualtrace.calibration.checks_page import checks_page
from dualtrace.calibration.findings import load_findings
from dualtrace.calibration.model_card import model_card
from dualtrace.calibration.reliability import load_reliability
from dualtrace.evidence.load import load
from dualtrace.evidence.schema import write_schema
from dualtrace.report.analysis import HEADLINE, analyse
from dualtrace.report.figures.forest import ForestSpec, alt, forest
from dualtrace.report.figures.save import save
from dualtrace.report.sections.results import forest_spec, question_title

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "figures" / "forest_severity_post.png"
CARD = ROOT / "docs" / "model_card.md"
RESULTS = ROOT / "benchmarks" / "results"
CHECKS = ROOT / "docs" / "calibration_checks.md"


def headline() -> ForestSpec:
    """Return the README's figure: severity after treatment, the shipped evidence."""
    return forest_spec(question_title(HEADLINE), analyse(load()).syntheses[HEADLINE])


def main() -> None:
    """Write the figure, the README's words for it, the model card, the schema, and the page of checks."""
    spec = headline()
    save(forest(spec), FIGURE)
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    words = re.sub(r"[\[\]]", "", alt(spec))
    text = re.sub(r"!\[[^]]*\]\(docs/figures", lambda _: f"![{words}](docs/figures", text)
    readme.write_text(text, encoding="utf-8")
    CARD.write_text(model_card(load_findings()), encoding="utf-8")
    write_schema()
    CHECKS.write_text(checks_page(RESULTS, load_reliability()), encoding="utf-8")


if __name__ == "__main__":
    main()
