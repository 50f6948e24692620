"""Commands that do not use your Kafka: tag texts, run a demo, start local servers, export schemas, show a model."""

import contextlib
import itertools
import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from emotag_model.engines.precision import EngineName, PrecisionName

from .app import add_group, format_examples, invite_typing, print_note, warn_about_variables

TAG_BATCH = 256
"""The number of lines of stdin that are tagged together."""

ModelDir = Annotated[
    Path | None,
    typer.Option("--model", metavar="DIR", help="Directory of a trained model. Without it, the shipped model."),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="Device: auto, cpu, cuda or cuda:N.")]
Engine = Annotated[
    Literal["auto", EngineName],
    typer.Option(metavar="NAME", case_sensitive=False, help="Engine: auto, native, openvino, torch or reference."),
]
Precision = Annotated[
    Literal["auto", PrecisionName],
    typer.Option(metavar="NAME", case_sensitive=False, help="Precision: auto, fp32, bf16, int8 or fp16."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        epilog=format_examples(
            'emotag tag "I am so excited about this new opportunity!" --top 5',
            "emotag tag --json --all < texts.txt",
            "emotag tag --reasons 'Thank you!'",
        )
    )(tag)
    app.command(epilog=format_examples("emotag demo", "emotag demo --messages 500 --no-input --json"))(demo)
    app.command(epilog=format_examples("emotag local"))(local)
    schemas = add_group(app, "schemas", "Export JSON Schema and AsyncAPI documents.")
    schemas.command("export", epilog=format_examples("emotag schemas export docs/schemas"))(schemas_export)
    model = add_group(app, "model", "Inspect a model.")
    model.command("info", epilog=format_examples("emotag model info", "emotag model info runs/mine"))(model_info)


def tag(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts to tag. Without any, each line of stdin that is not blank."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per text.")] = False,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Print the N labels with the best scores, even below their thresholds."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Print the score of every label; with --json, in the field `scores`.")
    ] = False,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Print the words that carry each score, with their share of it.")
    ] = False,
    model: ModelDir = None,
    device: Device = "auto",
    engine: Engine = "auto",
    precision: Precision = "auto",
) -> None:
    """Tag texts, without Kafka.

    At its first use on a machine, emotag measures for up to 8 s which engine and precision are fastest, and stores the
    choice. If stdin has no text, the command prints a note on stderr, and its exit code is 0.
    """
    if all_ and top and not as_json:
        raise typer.BadParameter("--all prints every label, so leave out --top; or add --json", param_hint="'--top'")
    batches = _read_batches(texts or ())
    first = next(batches, None)
    if first is None:
        print_note("emotag: stdin has no text, so nothing was tagged")
        return

    with _end_at_once_on_interrupt():
        from emotag_model.tagger import EmotionTagger

        tagger = EmotionTagger.load(
            model,
            on=device.lower(),
            engine=engine,
            precision=precision,
            reasons=reasons,
            before_measuring=_announce_measurement,
        )
        if tagger.choice.reason:
            chosen = f"engine {tagger.engine}, precision {tagger.precision}"
            print_note(f"note: the texts are tagged with {chosen}: {tagger.choice.reason}")
        # Imported only now, so that the note of a measurement appears sooner.
        from emotag_worker.terminal.tables import escape_controls, render_tagging_lines, render_tagging_object

        for batch in itertools.chain([first], batches):
            for text, tagging in zip(batch, tagger.tag(batch), strict=True):
                if as_json:
                    found = render_tagging_object(text, tagging, top=top, every=all_)
                    typer.echo(escape_controls(json.dumps(found, ensure_ascii=False)))
                else:
                    typer.echo(
                        render_tagging_lines(text, tagging, top=len(tagging.scores) if all_ and not top else top)
                    )


@contextlib.contextmanager
def _end_at_once_on_interrupt() -> Iterator[None]:
    """At Ctrl-C, end without the interpreter's shutdown, which aborts with a message while OpenVINO computes a text.

    Nothing is lost: every result is flushed when it is printed.
    """
    try:
        yield
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)


def _read_batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts given as arguments in one batch; without arguments, the lines of stdin that are not blank.

    Raises:
        typer.BadParameter: a text given as an argument is blank.
    """
    if blank := next((number for number, text in enumerate(texts, 1) if not text.strip()), 0):
        raise typer.BadParameter(f"text {blank} of {len(texts)} is empty; write a word", param_hint="'TEXT'")
    if texts:
        # Bytes of an argument that are not UTF-8 are replaced, as those of stdin are.
        yield [text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in texts]
        return
    from emotag_worker.terminal.stdin import open_stdin, read_lines_as_they_come

    invite_typing()
    for lines in read_lines_as_they_come(open_stdin(errors="replace"), most=TAG_BATCH):
        if kept := [line for line in lines if line.strip()]:
            yield kept


def _announce_measurement() -> None:
    print_note("measuring which engine is fastest on this processor; done once, takes up to 8 s")


def demo(
    messages: Annotated[int, typer.Option(min=1, metavar="N", help="Number of sample texts to send.")] = 200,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="End after the samples; do not ask you for texts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the summary, as one JSON object.")] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="R", help="Records per second. On a terminal 20, otherwise without a limit."),
    ] = None,
) -> None:
    """Try emotag on this machine with sample texts.

    The command starts Kafka, a cache and a worker, sends texts to Kafka, prints the results, and stops everything at
    the end. It also sends repeated texts and broken records, to show what happens to them; with --json it does not.
    """
    from emotag_worker.local.demo import Demo

    warn_about_variables()
    on_terminal = sys.stdout.isatty() and not as_json
    pace = rate or (20.0 if on_terminal else None)
    show = Demo(messages=messages, rate=pace, as_json=as_json)
    raise typer.Exit(show.run(ask=on_terminal and sys.stdin.isatty() and not no_input))


def local() -> None:
    """Run a local Kafka and a local cache until Ctrl-C or SIGTERM.

    The command prints the lines to paste into a second terminal. If one of the two servers ends, the command stops the
    other one, and its exit code is 1.
    """
    from emotag_worker.local import run_kafka, run_valkey
    from emotag_worker.local.demo_view import name_command
    from emotag_worker.local.kafka import DOWNLOAD_NOTE, needs_download
    from emotag_worker.local.server import watch_servers

    for number in (signal.SIGTERM, signal.SIGINT):  # a shell starts its background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    if needs_download():
        print_note(DOWNLOAD_NOTE)
    print_note("starting Apache Kafka and Valkey …")
    with contextlib.suppress(KeyboardInterrupt), run_kafka() as broker, run_valkey() as cache:
        print_note("ready. In a second terminal, paste these lines:\n")
        typer.echo(f"export EMOTAG_KAFKA__BOOTSTRAP_SERVERS={broker.bootstrap_servers}")
        typer.echo(f"export EMOTAG_CACHE__URL={cache.url}")
        emotag = name_command()
        create = f"{emotag} topics create --partitions 1"
        print_note(f"\nThen create the topics and start a worker: {create} && {emotag} run")
        print_note("Ctrl-C in this terminal stops both servers and deletes their data.")
        watch_servers(broker, cache)  # until a signal raises KeyboardInterrupt


def schemas_export(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory to write to.")]) -> None:
    """Write the JSON Schemas and the AsyncAPI document to a directory."""
    from emotag_schemas import documents

    for path in documents.write_documents(directory):
        typer.echo(str(path))


def model_info(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Directory of a model. Without it, the shipped model.")
    ] = None,
) -> None:
    """Check a model and print its name, versions and metrics as JSON."""
    from emotag_model import artifact

    trained = artifact.load(directory or artifact.DEFAULT)
    figures = trained.metrics.get("dev", {})
    typer.echo(
        json.dumps(
            {
                "name": trained.name,
                "version": trained.version,
                "thresholds": trained.thresholds_version,
                "parameters": sum(map(math.prod, trained.config.shapes().values())),
                "max_tokens": trained.config.max_tokens,
                "labels": list(trained.config.labels),
                "languages": list(trained.languages),
                "dev": {key: value for key, value in figures.items() if isinstance(value, int | float)},
                "trained_by": trained.training.get("command"),
            },
            indent=2,
        )
    )
