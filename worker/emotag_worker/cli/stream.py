"""Commands that use your Kafka: create topics, feed the input, follow the output, show the lag."""

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer

from .app import Config, Set, add_group, format_examples, invite_typing, load_settings, print_note


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog=format_examples("emotag produce texts.txt", "emotag produce - < texts.jsonl"))(produce)
    app.command(epilog=format_examples("emotag tail", "emotag tail --json --from-beginning --idle-s 5"))(tail)
    app.command(epilog=format_examples("emotag lag", "emotag lag --json"))(lag)
    topics = add_group(app, "topics", "Create the topics.")
    topics.command("create", epilog=format_examples("emotag topics create --partitions 16 --replication 3"))(
        topics_create
    )


def topics_create(
    partitions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Partitions of each topic; also the largest number of workers.")
    ] = 8,
    replication: Annotated[
        int, typer.Option(metavar="N", help="Copies of each topic; -1: the default of the brokers.")
    ] = -1,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Create the input, output and dead-letter topics.

    Topics that exist are not changed.
    """
    from emotag_worker.kafka import clients, topics

    settings = load_settings(config, set_)
    plan = topics.plan_topics(settings, partitions=partitions, replication=replication)
    with clients.create_admin(settings, polled=True) as admin:
        topics.create_topics(admin, plan, report=lambda name, how: typer.echo(f"{name}: {how}"))


def produce(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File with one text or JSON object per line; - is stdin.")
    ],
    config: Config = None,
    set_: Set = None,
) -> None:
    """Send the lines of a file to the input topic.

    A line that is a JSON object is sent unchanged. Any other line is sent as a text.
    """
    from emotag_worker.kafka import clients, topics
    from emotag_worker.kafka.output.sink import DeliveryFailures
    from emotag_worker.terminal.produce import ProduceInterrupted, produce_lines
    from emotag_worker.terminal.stdin import open_stdin
    from emotag_worker.terminal.tables import count

    settings = load_settings(config, set_)
    failures = DeliveryFailures()
    producer = clients.create_plain_producer(settings, failures)
    with contextlib.ExitStack() as stack:
        if str(file) == "-":
            stream = open_stdin(errors="surrogateescape")
        else:
            stream = stack.enter_context(file.open(encoding="utf-8", errors="surrogateescape"))
        # Raises an error if the topic does not exist. The producer alone would wait for the topic to appear.
        with contextlib.closing(clients.create_reader(settings)) as reader:
            topics.await_topics(reader, [settings.input.topic])
        if str(file) == "-":
            invite_typing()
        try:
            sent = produce_lines(producer, failures, stream, settings)
        except ProduceInterrupted as interrupted:
            print_note(f"interrupted: sent {count(interrupted.sent, 'record')} to {settings.input.topic}")
            raise
    print_note(f"sent {count(sent, 'record')} to {settings.input.topic}")


def tail(
    as_json: Annotated[bool, typer.Option("--json", help="Print each result as JSON.")] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="First print the results that are in the topic already.")
    ] = False,
    idle_s: Annotated[
        float | None,
        typer.Option("--idle-s", metavar="SECONDS", min=0.1, help="End after this number of seconds without a result."),
    ] = None,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Print results as they arrive, until Ctrl-C."""
    from emotag_worker.kafka import clients
    from emotag_worker.terminal.tables import escape_controls, render_result
    from emotag_worker.terminal.tail import follow

    settings = load_settings(config, set_)
    consumer = clients.create_reader(settings)
    printed = 0
    with contextlib.suppress(KeyboardInterrupt):  # a user ends this command by Ctrl-C
        for message in follow(consumer, [settings.output.topic], from_beginning=from_beginning, idle_s=idle_s):
            value_bytes = None if message is None else message.value()
            if message is None or value_bytes is None:  # a tombstone is no result
                continue
            printed += 1
            value = value_bytes.decode("utf-8", "replace")
            if as_json:
                typer.echo(escape_controls(value))
            else:
                place = f"{message.topic()}-{message.partition()}@{message.offset()}"
                typer.echo(render_result(value) or f"{place}  not a result of emotag")
        if idle_s is not None and not printed:
            earlier = "" if from_beginning else "; earlier results: emotag tail --from-beginning"
            print_note(f"no result in {idle_s:g} s; to find the cause: emotag lag, emotag dlq list{earlier}")
    consumer.close()


def lag(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per partition, and one for all at the end.")
    ] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Print how many records the workers have not processed yet.

    For each partition of the input topic, the command counts the records after the offset that the consumer group has
    committed, or all records if it has committed nothing. It does not join the group. A partition that transactions
    wrote to can show a lag of 1 or 2 although no record waits.
    """
    from emotag_worker.kafka import clients
    from emotag_worker.kafka.clients import create_offset_reader
    from emotag_worker.kafka.lag import render_lines, render_objects
    from emotag_worker.kafka.topics import await_topics

    settings = load_settings(config, set_)
    topic, group_id = settings.input.topic, settings.kafka.group_id
    with contextlib.closing(clients.create_reader(settings)) as reader:
        numbers = await_topics(reader, [topic])[topic]
    offsets = create_offset_reader(settings, polled=True)
    partitions = [(topic, number) for number in numbers]
    found = offsets.repeat(f"reading the offsets of {group_id}", lambda: offsets.fetch_all(partitions))
    if as_json:
        lines = [json.dumps(each) for each in render_objects(found, topic=topic, group_id=group_id)]
    else:
        lines = render_lines(found, topic=topic, group_id=group_id)
    typer.echo("\n".join(lines))
