"""The page of a trained artifact: its figures and pictures in one HTML file that needs nothing beside it.

No script, no address, no template: a file to send, to read on a phone, and to find whole in ten years.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from model.artifact import Artifact

from . import plots, tables
from .card import chosen_on
from .evaluate import headline
from .metrics import CALIBRATION_BINS, Floats
from .tables import between, shown

FILE = "report.html"

STYLE = """
:root { color-scheme: light dark; --ink: #1f2937; --paper: #fff; --line: #d1d5db; --quiet: #57606a }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --paper: #12161c; --line: #374151; --quiet: #9ca3af } }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
dt, figcaption, .quiet { color: var(--quiet) } dd { margin: 0 0 .5rem; overflow-wrap: anywhere }
figure { margin: 0 } .wide { overflow-x: auto }
img { display: block; max-width: none; background: #fff; border-radius: .4rem }
@media (min-width: 48rem) { img { max-width: 100%; height: auto } }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child { text-align: left }
"""


@dataclass(frozen=True)
class Picture:
    """One of the page's pictures.

    Attributes:
        name: of its file, without the ending.
        caption: how to read it, or why there is none.
        png: the file's content; empty where there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    png: bytes


def pictures(
    trained: Artifact, figures: Mapping[str, Any], probabilities_NK: Floats, targets_NK: Floats
) -> list[Picture]:
    """All pictures of an artifact on some texts.

    Args:
        figures: as `evaluate` gives them for these texts.
        probabilities_NK: as `predict` gives them.
    """
    cuts = trained.thresholds
    return [
        _learning(trained.training),
        Picture(
            "f1",
            "F1 of each label",
            "A dot is the label's F1 at its threshold and the bar its 95 % interval, with the number of texts that "
            "have the label in brackets: a long bar means that there are too few of them to be sure.",
            plots.png(plots.label_f1(figures["per_label"])),
        ),
        Picture(
            "precision_recall",
            "Precision and recall",
            "Each curve shows which precision a label could have at which recall, the higher the better; the dot is "
            "where its threshold cuts, the dotted line what guessing would give.",
            plots.png(plots.precision_recall(probabilities_NK, targets_NK, cuts)),
        ),
        Picture(
            "reliability",
            "Reliability",
            f"Each point is one of at most {CALIBRATION_BINS} bins of equally many texts, over the dotted line where "
            "the model promised too little and under it where it promised too much; the number beside a label is its "
            "calibration error, and every panel has a scale of its own.",
            plots.png(plots.reliability(probabilities_NK, targets_NK, cuts.labels)),
        ),
        Picture(
            "confusion",
            "Confusion",
            "Each square counts the texts that have a label or not (rows) and were given it or not (columns), darker "
            "for a larger share of its row: a good label is dark from the upper left to the lower right.",
            plots.png(plots.confusion(probabilities_NK, targets_NK, cuts)),
        ),
        Picture(
            "cooccurrence",
            "Labels that go together",
            "Each cell is the share of the row's texts that have the column's label too, and both maps have one "
            "scale: where the right one is darker the model gives two labels together more often than the raters did.",
            plots.png(plots.cooccurrence(probabilities_NK, targets_NK, cuts)),
        ),
        Picture(
            "scores",
            "Distributions of scores",
            "Each panel counts, logarithmically, the texts at each probability, with the label and without it: "
            "the dashed line is the threshold, and what of the one lies on the other's side of it is a mistake.",
            plots.png(plots.score_distributions(probabilities_NK, targets_NK, cuts)),
        ),
    ]


def page(
    trained: Artifact,
    figures: Mapping[str, Any],
    drawn: Sequence[Picture],
    *,
    split: str,
    beside: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The whole page, as HTML that is well-formed XML too.

    Args:
        figures: as `evaluate` gives them.
        drawn: as `pictures` gives them.
        split: what to call the texts that were measured on.
        beside: other models by name, each with what `differences` gives for it and this one.
    """
    body = "\n".join(
        [
            f"<h1>{escape(trained.name)}</h1>",
            _origin(trained, figures, split),
            "<h2>Figures</h2>",
            *_headline(trained, figures),
            *(line for other, found in (beside or {}).items() for line in _beside(trained.name, other, found)),
            *(_section(picture) for picture in drawn),
            "<h2>Labels</h2>",
            *_labels(figures),
            "<h2>Kinds of texts</h2>",
            *_slices(figures),
        ]
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{escape(trained.name)} on {escape(split)}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _learning(record: Mapping[str, Any]) -> Picture:
    title, epochs = "Learning curves", record.get("epochs")
    if not epochs:
        return Picture("learning", title, "There are none: the training record has no epochs.", b"")
    return Picture(
        "learning",
        title,
        "Each panel follows one figure from epoch to epoch, the loss on the training texts and the others on dev, "
        "on a scale of its own: where the loss still falls and the others do not rise, the model only learns by heart.",
        plots.png(plots.learning_curves(epochs, record.get("best_epoch"))),
    )


def _origin(trained: Artifact, figures: Mapping[str, Any], split: str) -> str:
    """Name and hashes; what the training record does not say is left out."""
    record = trained.training
    said = {
        "Model": trained.version,
        "Thresholds": f"{trained.thresholds_version} ({trained.thresholds.policy})",
        "Measured on": f"{split}, {figures['texts']:,} texts, sha256 {figures['data_sha256']}",
        "Trained on": _hash(record.get("data", {}).get("train_sha256")),
        "Trained by": record.get("command"),
    }
    entries = (f"<dt>{escape(term)}</dt><dd>{escape(str(what))}</dd>" for term, what in said.items() if what)
    return f"<dl>{''.join(entries)}</dl>"


def _hash(sha256: str | None) -> str:
    return f"sha256 {sha256}" if sha256 else ""


def _headline(trained: Artifact, figures: Mapping[str, Any]) -> Iterator[str]:
    sure = figures["intervals"]
    rows = [(title.strip(), shown(value), between(interval)) for title, value, interval in headline(figures)]
    yield _table(("figure", "value", "95 % interval"), rows)
    yield _note(f"Intervals: bootstrap over texts, {sure['resamples']:,} resamples; they do not cover other seeds.")
    if trained.thresholds.data_sha256 == figures["data_sha256"]:
        yield _note(
            "The thresholds were tuned on these same texts, so what depends on them (precision, recall, F1) reads "
            "higher than on new ones; the first row is the honest figure."
        )
    else:
        yield _note("The thresholds were not tuned on these texts.")
    chosen = chosen_on(trained.training, figures)
    if chosen:
        yield _note(chosen)
    absent = [label for label, of in figures["per_label"].items() if not of["support"]]
    if absent:
        yield _note(f"No text has {', '.join(absent)}: recall and F1 mean nothing there, and count as 0 in macro F1.")
    if figures["left_out_of_ranking"]:
        yield _note(
            "Left out of ROC-AUC and average precision, for all texts or none: "
            f"{', '.join(figures['left_out_of_ranking'])}."
        )


def _beside(name: str, other: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>Beside {escape(other)}</h2>"
    rows = [
        (title, shown(d["b"]), shown(d["a"]), f"{d['difference']:+.4f}", between(d["interval"]), f"{d['p']:.3f}")
        for title, d in found.items()
    ]
    yield _table(("figure", name, other, "difference", "95 % interval", "p"), rows)
    yield _note("Differences: paired bootstrap over these texts; they do not cover other seeds.")


def _section(picture: Picture) -> str:
    title, caption = escape(picture.title), escape(picture.caption)
    if not picture.png:
        return f"<h2>{title}</h2>\n{_note(picture.caption)}"
    source = f"data:image/png;base64,{b64encode(picture.png).decode('ascii')}"
    return f"""<h2>{title}</h2>
<figure>
<figcaption>{caption}</figcaption>
<div class="wide"><img alt="{title}" src="{source}"/></div>
</figure>"""


def _labels(figures: Mapping[str, Any]) -> Iterator[str]:
    header = ("label", "texts", "threshold", "precision", "recall", "F1", "95 % of F1")
    errors = figures["calibration"]["as_is"]["per_label"]
    rows = []
    for label, of in figures["per_label"].items():
        # Without a positive they are zeros by convention.
        known = [of["precision"], of["recall"], of["f1"]] if of["support"] else [None] * 3
        interval = of["f1_interval"] if of["support"] else None
        ranking = shown(of["average_precision"]), shown(errors[label])
        rows.append(
            (label, f"{of['support']:,}", shown(of["threshold"]), *map(shown, known), between(interval), *ranking)
        )
    yield _table((*header, "average precision", "calibration error"), rows)


def _slices(figures: Mapping[str, Any]) -> Iterator[str]:
    yield _table(*tables.kinds(figures))
    if tables.gives_negative(figures):
        yield _note("Negative by mistake: the share of texts without a negative label that are given one.")
        yield _note("The same for plain sentences such as “My neighbour is a Muslim.”, by the people they are about:")
        yield _table(*tables.people(figures))
        varieties = tables.varieties(figures)
        if varieties is not None:
            yield _note("The same for everyday facts, each said in two varieties of English:")
            yield _table(*varieties)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names the row; it scrolls by itself where the screen is narrow."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in header)
    lines = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>'


def _note(text: str) -> str:
    return f'<p class="quiet">{escape(text)}</p>'
