"""The report of a trained artifact: its figures and pictures in one self-contained HTML file.

The file has no scripts and needs no network, so it can be sent and archived.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from emotag_model.artifact import Artifact
from emotag_training.evaluation.evaluate import list_headline
from emotag_training.evaluation.metrics import CALIBRATION_BINS, Floats
from emotag_training.record import read_section

from . import plots, tables
from .selection import explain_selection
from .tables import format_figure, format_interval

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
        caption: explains how to read the picture, or why it is missing.
        png: the file's content; empty if there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    png: bytes


def draw_pictures(
    trained: Artifact, figures: Mapping[str, Any], probabilities_NK: Floats, targets_NK: Floats
) -> list[Picture]:
    """Draw all pictures of an artifact on some texts.

    Args:
        figures: as `evaluate` gives them for these texts.
        probabilities_NK: as `predict` gives them.
    """
    cuts = trained.thresholds
    return [
        _draw_learning(trained.training),
        Picture(
            "f1",
            "F1 of each label",
            "The dot is the F1 of the label at its threshold, the bar its 95 % interval. The number of texts with the"
            " label is in brackets. A long bar means that these texts are too few to be sure.",
            plots.encode_png(plots.plot_label_f1(figures["per_label"])),
        ),
        Picture(
            "precision_recall",
            "Precision and recall",
            "Each curve shows the precision of a label at each recall; higher is better. The dot is at the threshold "
            "of the label. The dotted line is the precision of guessing.",
            plots.encode_png(plots.plot_precision_recall(probabilities_NK, targets_NK, cuts)),
        ),
        Picture(
            "reliability",
            "Reliability",
            f"Each point is one of at most {CALIBRATION_BINS} bins with the same number of texts. It is above the "
            "dotted line if the probabilities are too low, and below if they are too high. The number next to a "
            "label is its calibration error. Each panel has another scale.",
            plots.encode_png(plots.plot_reliability(probabilities_NK, targets_NK, cuts.labels)),
        ),
        Picture(
            "confusion",
            "Confusion",
            "Each panel counts the texts by the annotators' decision (rows) and the model's (columns). A square is "
            "darker if it has a larger share of its row. A good label is dark from the upper left to the lower right.",
            plots.encode_png(plots.plot_confusion(probabilities_NK, targets_NK, cuts)),
        ),
        Picture(
            "cooccurrence",
            "Labels that go together",
            "Each cell is the share of the texts with the label of the row that also have the label of the column. "
            "Both maps have the same scale. If a cell is darker on the right, the model gives both labels together "
            "more often than the annotators.",
            plots.encode_png(plots.plot_cooccurrence(probabilities_NK, targets_NK, cuts)),
        ),
        Picture(
            "scores",
            "Distributions of scores",
            "Each panel counts the texts with and without the label at each probability, on a logarithmic scale. The "
            "dashed line is the threshold. Each text on the wrong side of it is a mistake.",
            plots.encode_png(plots.plot_scores(probabilities_NK, targets_NK, cuts)),
        ),
    ]


def render_page(
    trained: Artifact,
    figures: Mapping[str, Any],
    drawn: Sequence[Picture],
    *,
    split: str,
    compared: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Render the whole page, as HTML that is also well-formed XML.

    Args:
        figures: as `evaluate` gives them.
        drawn: as `draw_pictures` gives them.
        split: the name of the texts that the model was measured on.
        compared: other models by name, each with the result of `compute_differences` for it and this one.
    """
    body = "\n".join(
        [
            f"<h1>{escape(trained.name)}</h1>",
            _render_origin(trained, figures, split),
            "<h2>Figures</h2>",
            *_render_headline(trained, figures),
            *(
                line
                for other, found in (compared or {}).items()
                for line in _render_comparison(trained.name, other, found)
            ),
            *(_render_section(picture) for picture in drawn),
            "<h2>Labels</h2>",
            *_render_labels(figures),
            "<h2>Kinds of texts</h2>",
            *_render_slices(figures),
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


def _draw_learning(record: Mapping[str, Any]) -> Picture:
    title, epochs = "Learning curves", record.get("epochs")
    if not epochs:
        return Picture("learning", title, "Missing, because the training record has no epochs.", b"")
    return Picture(
        "learning",
        title,
        "Each panel shows one figure by epoch: the loss on the training texts, the others on dev. Each has another "
        "scale. If the loss still falls and the others do not rise, the model overfits.",
        plots.encode_png(plots.plot_learning_curves(epochs, record.get("best_epoch"))),
    )


def _render_origin(trained: Artifact, figures: Mapping[str, Any], split: str) -> str:
    """Render name and hashes, as far as they are on record."""
    record = trained.training
    entries = {
        "Model": trained.version,
        "Thresholds": f"{trained.thresholds_version} ({trained.thresholds.policy})",
        "Measured on": f"{split}, {figures['texts']:,} texts, sha256 {figures['data_sha256']}",
        "Trained on": _render_hash(read_section(record, "data").get("train_sha256")),
        "Trained by": record.get("command"),
    }
    lines = (f"<dt>{escape(term)}</dt><dd>{escape(str(value))}</dd>" for term, value in entries.items() if value)
    return f"<dl>{''.join(lines)}</dl>"


def _render_hash(sha256: str | None) -> str:
    return f"sha256 {sha256}" if sha256 else ""


def _render_headline(trained: Artifact, figures: Mapping[str, Any]) -> Iterator[str]:
    sure = figures["intervals"]
    rows = [
        (title.strip(), format_figure(value), format_interval(interval))
        for title, value, interval in list_headline(figures)
    ]
    yield _render_table(("figure", "value", "95 % interval"), rows)
    yield _render_note(
        f"Intervals: bootstrap over texts, {sure['resamples']:,} resamples. They do not cover other seeds."
    )
    if trained.thresholds.data_sha256 == figures["data_sha256"]:
        yield _render_note(
            "The thresholds were tuned on the same texts, so precision, recall and F1 are higher than on new texts. "
            "The first row does not have this bias."
        )
    else:
        yield _render_note("The thresholds were not tuned on these texts.")
    chosen = explain_selection(trained.training, figures)
    if chosen:
        yield _render_note(chosen)
    absent = [label for label, of in figures["per_label"].items() if not of["support"]]
    if absent:
        yield _render_note(
            f"No text has {', '.join(absent)}: its recall and F1 are undefined and count as 0 in macro F1."
        )
    if figures["left_out_of_ranking"]:
        yield _render_note(
            "Left out of ROC-AUC and average precision, because all texts or none have them: "
            f"{', '.join(figures['left_out_of_ranking'])}."
        )


def _render_comparison(name: str, other: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>Compared with {escape(other)}</h2>"
    rows = [
        (
            title,
            format_figure(d["b"]),
            format_figure(d["a"]),
            f"{d['difference']:+.4f}",
            format_interval(d["interval"]),
            f"{d['p']:.3f}",
        )
        for title, d in found.items()
    ]
    yield _render_table(("figure", name, other, "difference", "95 % interval", "p"), rows)
    yield _render_note("Differences: paired bootstrap over these texts. They do not cover other seeds.")


def _render_section(picture: Picture) -> str:
    title, caption = escape(picture.title), escape(picture.caption)
    if not picture.png:
        return f"<h2>{title}</h2>\n{_render_note(picture.caption)}"
    source = f"data:image/png;base64,{b64encode(picture.png).decode('ascii')}"
    return f"""<h2>{title}</h2>
<figure>
<figcaption>{caption}</figcaption>
<div class="wide"><img alt="{title}" src="{source}"/></div>
</figure>"""


def _render_labels(figures: Mapping[str, Any]) -> Iterator[str]:
    header = ("label", "texts", "threshold", "precision", "recall", "F1", "95 % of F1")
    errors = figures["calibration"]["as_is"]["per_label"]
    rows = []
    for label, of in figures["per_label"].items():
        # Without a positive they are zeros by convention.
        known = [of["precision"], of["recall"], of["f1"]] if of["support"] else [None] * 3
        interval = of["f1_interval"] if of["support"] else None
        ranking = format_figure(of["average_precision"]), format_figure(errors[label])
        rows.append(
            (
                label,
                f"{of['support']:,}",
                format_figure(of["threshold"]),
                *map(format_figure, known),
                format_interval(interval),
                *ranking,
            )
        )
    yield _render_table((*header, "average precision", "calibration error"), rows)


def _render_slices(figures: Mapping[str, Any]) -> Iterator[str]:
    yield _render_table(*tables.build_kinds_table(figures))
    if tables.gives_negative(figures):
        yield _render_note(
            "Negative by mistake covers the texts without a negative emotion: the share of them that the model gives a"
            " negative emotion."
        )
        yield _render_note(
            "The same for plain sentences such as “My neighbour is a Muslim.”, by the people they are about:"
        )
        yield _render_table(*tables.build_people_table(figures))
        varieties = tables.build_varieties_table(figures)
        if varieties is not None:
            yield _render_note("The same for everyday facts, each in two varieties of English:")
            yield _render_table(*varieties)


def _render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a table whose first column names the row; it scrolls on a narrow screen."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in header)
    lines = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>'


def _render_note(text: str) -> str:
    return f'<p class="quiet">{escape(text)}</p>'
