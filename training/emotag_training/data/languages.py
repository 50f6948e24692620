"""The languages of the texts, compared with those that the recipe names."""

from collections import Counter
from collections.abc import Sequence

from emotag_model.scope.detector import Detector
from emotag_model.scope.rules import judge

MOST_FOREIGN = 0.1
"""A larger share of texts in other languages is reported: 0.2 % of English texts are taken for other languages."""


def describe_foreign_texts(texts: Sequence[str], languages: Sequence[str]) -> str:
    """Return a warning if many of the texts are in other languages than the recipe names; otherwise an empty string."""
    detector = Detector(languages)
    found = (judge(detector.detect(text), unknown=0, pieces=1, languages=languages) for text in texts)
    foreign = Counter(each.language for each in found if each.scope == "other_language")
    if foreign.total() <= MOST_FOREIGN * len(texts):
        return ""
    ((most, _),) = foreign.most_common(1)
    return (
        f"{foreign.total()} of {len(texts)} dev texts are not in {'+'.join(languages)} (data.languages), most of them "
        f"in {most}: results of this model will mark such texts as out of its scope. If you train it for them, set "
        f"data.languages={most}"
    )
