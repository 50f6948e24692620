"""Every command a user types."""

import contextlib
import importlib.metadata
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from . import settings as settings_
from .errors import EmotagError, StopWorker
from .settings import Settings, SettingsProblem

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="emotag: texts from a Kafka topic, emotions to another, exactly once.",
)
topics_app = typer.Typer(no_args_is_help=True, help="The worker's topics.")
dlq_app = typer.Typer(no_args_is_help=True, help="The dead letters: what could not be tagged.")
config_app = typer.Typer(no_args_is_help=True, help="The settings in force.")
schemas_app = typer.Typer(no_args_is_help=True, help="What crosses the wire.")
model_app = typer.Typer(no_args_is_help=True, help="The model.")
for name, sub in (
    ("topics", topics_app),
    ("dlq", dlq_app),
    ("config", config_app),
    ("schemas", schemas_app),
    ("model", model_app),
):
    app.add_typer(sub, name=name)

Config = Annotated[Path | None, typer.Option("--config", help="a TOML file of settings, under the environment's")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="one setting, over the environment's; may be repeated"),
]
Reason = Annotated[
    str | None, typer.Option(metavar="NAME", help="only those refused for this, such as NotJson or DeviceRejected")
]
ModelDir = Annotated[Path | None, typer.Option("--model", help="an artifact's directory; the shipped one if not given")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N")]
Engine = Annotated[str, typer.Option(help="auto (measured once), openvino, torch")]
Precision = Annotated[str, typer.Option(help="auto (measured once), fp32, bf16, int8, fp16")]

TAG_BATCH = 256

MISTAKES = (
    ("model.artifact", "ArtifactError"),
    ("model.device", "DeviceUnknown"),
    ("worker.errors", "TooManyDeadLetters"),
)
"""What is wrong with what the user named. Messages of these and of the next are made for users."""
FAULTS = (
    ("model.tagger", "DeviceFailed"),
    ("worker.local", "LocalError"),
    ("confluent_kafka", "KafkaException"),
)
"""What is wrong with what the worker stands on; a command that only looks takes them, too, for a mistake."""


def main() -> None:
    """Run a command. A mistake is one line on stderr and exit code 2; a worker that a fault stops ends with 1."""
    # Only `run` sets up logging; elsewhere a client's grumbling is no answer to what the user typed.
    logging.getLogger("librdkafka").addHandler(logging.NullHandler())
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        _complain(error.format_message())
        code = 2
    except StopWorker as error:
        _complain(str(error))
        code = 1
    except (EmotagError, SettingsProblem) as error:
        _complain(str(error))
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = 128 + signal.SIGINT
    except BrokenPipeError:  # `emotag tail | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if not isinstance(error, (OSError, *_imported(MISTAKES), *_imported(FAULTS))):
            raise
        _complain(_in_words(error))
        code = 2
    sys.exit(code or 0)


def _in_words(error: Exception) -> str:
    """Of a file what is wrong with it, without the system's number for that."""
    match error:
        case OSError(filename=str(name), strerror=str(why)):
            return f"{name}: {why}"
    return str(error)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(_version())
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print emotag's version and end")
    ] = False,
) -> None:
    """emotag: texts from a Kafka topic, emotions to another, exactly once."""


@app.command()
def run(config: Config = None, set_: Set = None) -> None:
    """Read texts, write emotions, until SIGTERM or Ctrl-C. Ends with 2 on a mistake, with 1 on a fault.

    emotag run

    emotag run --config emotag.toml --set kafka.group_id=mine --set input.format=text
    """
    from .admin import Admin
    from .lifecycle import Lifecycle
    from .telemetry import Telemetry, configure_logging

    settings = _load(config, set_)
    configure_logging(settings.log)
    telemetry = Telemetry()
    lifecycle = Lifecycle(
        drain_s=settings.drain_s, stuck_s=settings.kafka.unavailable_s * 2 + settings.drain_s, telemetry=telemetry
    )
    lifecycle.watch_signals()
    for why in settings_.unknown_variables(settings_.environment()):
        telemetry.setting_ignored(why)
    if unkeyed := settings_.unkeyed_cache(settings):
        telemetry.cache_unkeyed(unkeyed)
    try:
        admin = Admin(settings.admin.host, settings.admin.port, probe=lifecycle.probe, metrics=telemetry.exposition)
        with admin:
            telemetry.admin_listening(settings.admin.host, admin.port)
            from .service import serve  # the model comes with it: by now probes are answered and signals heard

            serve(settings, telemetry, lifecycle, version=_version())
    except Exception as error:
        mistaken = isinstance(error, (SettingsProblem, *_imported(MISTAKES)))
        if not mistaken and not isinstance(error, (EmotagError, OSError, *_imported(FAULTS))):
            raise
        # A supervisor restarts after a fault; after a mistake that would go on for ever.
        code = 2 if mistaken else 1
        telemetry.stopped(why=str(error), exit_code=code)
        raise typer.Exit(code) from error
    telemetry.stopped(why="drained", exit_code=0)


@app.command()
def tag(
    texts: Annotated[
        list[str] | None, typer.Argument(help="texts; without any, the lines of stdin; blank ones are left out")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a text")] = False,
    top: Annotated[int | None, typer.Option(min=1, help="the strongest N labels, whatever their thresholds")] = None,
    all_: Annotated[bool, typer.Option("--all", help="the probabilities of all labels too")] = False,
    model: ModelDir = None,
    device: Device = "auto",
    engine: Engine = "auto",
    precision: Precision = "auto",
) -> None:
    """Tag texts without Kafka.

    emotag tag "I'm so excited about this new opportunity!" --top 5

    cat texts.txt | emotag tag --json --all
    """
    from model.tagger import EmotionTagger

    from .lines import as_they_come, standard_input
    from .show import tagging_lines, tagging_object

    tagger = EmotionTagger.load(model, on=device, engine=engine, precision=precision)
    # An argument's bytes that are not UTF-8 are replaced as those of stdin are: they stop nothing.
    given = [text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in texts or ()]
    for batch in [given] if given else as_they_come(standard_input(errors="replace"), most=TAG_BATCH):
        kept = [text for text in batch if text.strip()]
        for text, tagging in zip(kept, tagger.tag(kept), strict=True):
            if as_json:
                typer.echo(json.dumps(tagging_object(text, tagging, top=top, every=all_), ensure_ascii=False))
            else:
                typer.echo(tagging_lines(text, tagging, top=len(tagging.scores) if all_ and not top else top))


@app.command()
def demo(
    messages: Annotated[int, typer.Option(min=1, help="how many sample texts to send")] = 200,
    no_input: Annotated[bool, typer.Option("--no-input", help="end after the samples; ask for no text")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="only the summary, as one JSON object")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="texts a second; on a terminal 20, elsewhere as fast as they go")
    ] = None,
) -> None:
    """Texts through a real Kafka, a real cache and the model, all on this machine, with no set-up.

    emotag demo

    emotag demo --messages 500 --no-input --json
    """
    from .demo import Demo

    on_terminal = sys.stdout.isatty() and not as_json
    pace = rate or (20.0 if on_terminal else None)
    show = Demo(messages=messages, rate=pace, as_json=as_json)
    raise typer.Exit(show.run(ask=on_terminal and sys.stdin.isatty() and not no_input))


@app.command()
def local() -> None:
    """A local Kafka and a local cache, until Ctrl-C; their addresses are printed, ready to be exported.

    emotag local
    """
    from .local import kafka, valkey

    for number in (signal.SIGTERM, signal.SIGINT):  # a shell starts its background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    with kafka() as broker, valkey() as cache:
        typer.echo(f"export EMOTAG_KAFKA__BOOTSTRAP_SERVERS={broker.bootstrap_servers}")
        typer.echo(f"export EMOTAG_CACHE__URL={cache.url}")
        _note("ready; Ctrl-C ends both and removes their data")
        while True:
            time.sleep(3600)  # a signal ends it


@app.command()
def produce(
    file: Annotated[Path, typer.Argument(help="a file of texts or of JSON objects, one a line; - is stdin")],
    config: Config = None,
    set_: Set = None,
) -> None:
    """Feed the input topic: JSON objects as they stand, other lines as texts.

    emotag produce texts.txt

    echo '{"text": "what a day", "id": "1"}' | emotag produce -
    """
    from . import clients, topics
    from .delivery import DeliveryFailures
    from .feed import feed
    from .lines import standard_input

    settings = _load(config, set_)
    failures = DeliveryFailures()
    producer = clients.plain_producer(settings, failures)
    with contextlib.ExitStack() as stack:
        if str(file) == "-":
            stream = standard_input(errors="surrogateescape")
        else:
            stream = stack.enter_context(file.open(encoding="utf-8", errors="surrogateescape"))
        # The producer itself would wait for a topic that may yet come.
        with contextlib.closing(clients.reader(settings)) as reader:
            topics.partitions(reader, settings.input.topic)
        sent = feed(producer, failures, stream, settings)
    _note(f"{sent} records to {settings.input.topic}")


@app.command()
def tail(
    as_json: Annotated[bool, typer.Option("--json", help="each result as it stands")] = False,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="not only what comes from now on")] = False,
    idle_s: Annotated[float | None, typer.Option("--idle-s", help="end after so many seconds without a result")] = None,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Follow the output topic, until Ctrl-C.

    emotag tail

    emotag tail --json --from-beginning --idle-s 5
    """
    from . import clients
    from .show import result_line
    from .tail import follow

    settings = _load(config, set_)
    consumer = clients.reader(settings)
    for message in follow(consumer, [settings.output.topic], from_beginning=from_beginning, idle_s=idle_s):
        if message is None:
            continue
        value = (message.value() or b"").decode("utf-8", "replace")
        if as_json:
            typer.echo(value)
        else:
            typer.echo(result_line(value) or f"{message.partition()}@{message.offset()}  no result of emotag's")
    consumer.close()


@topics_app.command("create")
def topics_create(
    partitions: Annotated[int, typer.Option(min=1, help="of each; the most workers that can share the input")] = 8,
    replication: Annotated[int, typer.Option(help="copies of each; -1 takes the brokers' default")] = -1,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Create the input, output and dead-letter topics; those that exist are left as they are.

    emotag topics create --partitions 16 --replication 3
    """
    from . import clients, topics

    settings = _load(config, set_)
    plan = topics.planned(settings, partitions=partitions, replication=replication)
    topics.create(clients.admin(settings, polled=True), plan, told=lambda name, how: typer.echo(f"{name}: {how}"))


@dlq_app.command("list")
def dlq_list(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a dead letter")] = False,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option(min=1, help="end after so many")] = None,
    show_texts: Annotated[bool, typer.Option("--show-texts", help="the records too, which may be private")] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """What lies in the dead-letter topic now: where, since when, why. No text, unless it is asked for.

    emotag dlq list

    emotag dlq list --json --reason NotJson --limit 100
    """
    from collections import Counter

    from . import clients, deadletters

    settings = _load(config, set_)
    topic, wanted = settings.dlq.topic, deadletters.known(reason)
    consumer = clients.dead_letter_reader(settings)
    listed: Counter[str] = Counter()
    ranges = deadletters.extent(consumer, topic)
    for letter in deadletters.between(consumer, topic, ranges, patience_s=settings.kafka.unavailable_s):
        if wanted not in (None, letter.reason):
            continue
        listed[letter.reason] += 1
        if as_json:
            typer.echo(json.dumps(deadletters.as_object(letter, texts=show_texts), ensure_ascii=False))
        else:
            typer.echo(deadletters.as_line(letter, texts=show_texts))
        if listed.total() == limit:
            break
    consumer.close()
    if sys.stdout.isatty() and not as_json:
        typer.echo(deadletters.summary(listed, topic=topic))


@dlq_app.command("replay")
def dlq_replay(
    reason: Reason = None,
    begin: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PARTITION:OFFSET",
            help="begin there in the dead-letter topic, or at its beginning, whatever was put back before; may be "
            "repeated",
        ),
    ] = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, help="leave those that were tried so often already; the first try counts")
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be put back, and end")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Put dead letters back on the input topic, once: key, value, timestamp and headers as they were.

    The group GROUP-dlq-replay remembers, in the same transaction, how far it came. A replay that is killed goes on
    where it was, and a second one finds only what is new. It ends at what lies there as it starts: a record that is
    refused again is a new dead letter, for the next replay. With --reason, the others stay, and are put back by a
    later replay without it, or with theirs. Left for good are dead letters that were tried --max-attempts times, and
    those that are not of this input topic and group; --from goes back to them, and repeats what it meets on the way.

    emotag dlq replay --dry-run

    emotag dlq replay --reason DeviceRejected --yes
    """
    from . import clients, replay
    from .delivery import DeliveryFailures
    from .sink import sink_of

    settings = _load(config, set_)
    choice = replay.choice(reason, max_attempts, begin or ())
    if not (dry_run or yes or sys.stdin.isatty()):
        raise replay.ReplayRefused("there is no terminal to ask on; give --yes, or --dry-run to see what it would do")
    consumer = clients.replay_consumer(settings)
    one = replay.Replay(consumer, settings, choice)
    if dry_run or not yes:
        found = one.survey()
        typer.echo(replay.said(found, done=False, topic=settings.input.topic))
        if dry_run:
            return
        if found.due and not typer.confirm("put them back?"):
            _note("nothing was put back")
            return
    failures = DeliveryFailures()
    producer = clients.replay_producer(settings, failures)
    done = one.put_back(sink_of(settings, producer, failures), producer)
    typer.echo(replay.said(done, done=True, topic=settings.input.topic))
    consumer.close()


@app.command()
def lag(
    as_json: Annotated[
        bool, typer.Option("--json", help="one JSON object a partition, and a last one for all of them")
    ] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """How far the group is behind on the input topic, as the brokers know it. Joins no group.

    emotag lag

    emotag lag --json
    """
    from . import clients
    from .lag import as_lines, as_objects, lags
    from .topics import partitions

    settings = _load(config, set_)
    topic, group_id = settings.input.topic, settings.kafka.group_id
    with contextlib.closing(clients.reader(settings)) as reader:
        numbers = partitions(reader, topic)
    found = lags(clients.admin(settings, polled=True), group_id, [(topic, number) for number in numbers])
    if as_json:
        lines = [json.dumps(each) for each in as_objects(found, topic=topic, group_id=group_id)]
    else:
        lines = as_lines(found, topic=topic, group_id=group_id)
    typer.echo("\n".join(lines))


@config_app.command("show")
def config_show(config: Config = None, set_: Set = None) -> None:
    """Print the settings in force as JSON, secrets masked.

    emotag config show --config emotag.toml
    """
    typer.echo(json.dumps(settings_.shown(_load(config, set_)), indent=2))


@config_app.command("check")
def config_check(config: Config = None, set_: Set = None) -> None:
    """Check settings, properties, device and model without starting anything; 0 where they hold.

    emotag config check --config emotag.toml
    """
    settings = _load(config, set_)
    from .service import check  # torch comes with it; plain mistakes need not wait for that

    check(settings)
    unknown = settings_.unknown_variables(settings_.environment())
    if unknown:
        raise SettingsProblem("; ".join(unknown))
    if unkeyed := settings_.unkeyed_cache(settings):
        typer.echo(f"warning: {unkeyed}", err=True)
    typer.echo("the settings hold")


@schemas_app.command("export")
def schemas_export(directory: Annotated[Path, typer.Argument(help="where the documents are written")]) -> None:
    """Write the JSON Schemas and the AsyncAPI document.

    emotag schemas export docs/schemas
    """
    from schemas import documents

    for path in documents.write(directory):
        typer.echo(str(path))


@model_app.command("info")
def model_info(directory: Annotated[Path | None, typer.Argument(help="the shipped one if not given")] = None) -> None:
    """What a model is, once it is checked: JSON.

    emotag model info
    """
    from model import artifact

    found = artifact.load(directory or artifact.DEFAULT)
    figures = found.metrics.get("dev", {})
    typer.echo(
        json.dumps(
            {
                "name": found.name,
                "version": found.version,
                "thresholds": found.thresholds_version,
                "parameters": sum(values.size for values in found.weights.values()),
                "max_tokens": found.config.max_tokens,
                "labels": list(found.config.labels),
                "dev": {key: value for key, value in figures.items() if isinstance(value, int | float)},
                "trained_by": found.training.get("command"),
            },
            indent=2,
        )
    )


def _load(config: Path | None, flags: Sequence[str] | None) -> Settings:
    return settings_.load(config, settings_.parse_flags(flags or ()))


def _imported(errors: Iterable[tuple[str, str]]) -> tuple[type[Exception], ...]:
    """Those of (module, name) whose modules a command has used: importing the others would only cost time."""
    return tuple(getattr(sys.modules[module], name) for module, name in errors if module in sys.modules)


def _version() -> str:
    return importlib.metadata.version("emotag")


def _complain(message: str) -> None:
    print(f"emotag: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201


def _note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
