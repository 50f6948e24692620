"""`emotag offsets`: show where the group is in the input topic, and move it."""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from .app import Config, Set, add_group, format_examples, load_settings, print_note

if TYPE_CHECKING:
    from emotag_worker.kafka.offset_reset import GroupOffsets, Target
    from emotag_worker.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per partition.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = add_group(app, "offsets", "Show the offsets of the consumer group, or set them.")
    group.command("show", epilog=format_examples("emotag offsets show", "emotag offsets show --json"))(offsets_show)
    group.command(
        "reset",
        epilog=format_examples(
            "emotag offsets reset --to-time 2026-11-30T06:00:00Z", "emotag offsets reset --to-latest --yes"
        ),
    )(offsets_reset)


def offsets_show(as_json: Json = False, config: Config = None, set_: Set = None) -> None:
    """Print where the group is in each partition of the input topic.

    `beginning` is the first offset that exists, `committed` the next that the group reads, and `end` the offset after
    the last record. The command does not join the group.
    """
    settings = load_settings(config, set_)
    with _open(settings) as offsets:
        _print(offsets, {}, settings, as_json=as_json)


def offsets_reset(
    to_time: Annotated[
        str | None,
        typer.Option("--to-time", metavar="TIME", help="To the first record of this RFC 3339 time or later."),
    ] = None,
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="To the first record that exists.")] = False,
    to_latest: Annotated[bool, typer.Option("--to-latest", help="To the end: skip all records.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Set the offsets. Without it, only print the plan.")] = False,
    as_json: Json = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Set the offsets of the group in every partition of the input topic.

    Without --yes, the command only prints what it would do. Stop all workers before you add --yes: the offsets of a
    group with members cannot be set. A worker that was killed is a member until its session ends, after 6 s (45 s with
    group.protocol=consumer).

    If you move the group back, the records in between are tagged again, and the output topic gets a second result for
    each of them. To tag a part of the history again without moving the group, use `emotag run --from --until`.
    """
    target = _read_target(to_time, to_earliest=to_earliest, to_latest=to_latest)
    settings = load_settings(config, set_)
    with _open(settings) as offsets:
        if yes:
            offsets.require_no_members()
        planned = offsets.plan(target)
        _print(offsets, planned, settings, as_json=as_json)
        if not yes:
            print_note("nothing was changed; to set these offsets, add --yes")
            return
        offsets.reset(planned)
    print_note(f"set the offsets of the group {settings.kafka.group_id}")


def _read_target(to_time: str | None, *, to_earliest: bool, to_latest: bool) -> "Target":
    if [to_time is not None, to_earliest, to_latest].count(True) != 1:
        raise typer.BadParameter(
            "give one of --to-time, --to-earliest and --to-latest", param_hint="'--to-time / --to-earliest / …'"
        )
    if to_time is not None:
        return read_time("--to-time", to_time)
    return "earliest" if to_earliest else "latest"


def read_time(option: str, text: str) -> datetime:
    """Return the time that an option gives.

    Raises:
        typer.BadParameter: it is not an RFC 3339 time, or has no zone.
    """
    from emotag_worker.settings.times import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from error


@contextlib.contextmanager
def _open(settings: "Settings") -> Iterator["GroupOffsets"]:
    from emotag_worker.kafka import clients
    from emotag_worker.kafka.clients import create_offset_reader
    from emotag_worker.kafka.offset_reset import GroupOffsets
    from emotag_worker.kafka.topics import await_topics

    topic = settings.input.topic
    with contextlib.closing(clients.create_reader(settings)) as reader:
        numbers = await_topics(reader, [topic])[topic]
    partitions = [(topic, number) for number in numbers]
    with clients.create_admin(settings, polled=True) as admin:
        yield GroupOffsets(create_offset_reader(settings, polled=True), admin, settings.kafka.group_id, partitions)


def _print(offsets: "GroupOffsets", planned: dict[int, int], settings: "Settings", *, as_json: bool) -> None:
    from emotag_worker.kafka.offset_reset import describe_plan, render_lines, render_objects

    found, topic = offsets.read(), settings.input.topic
    if as_json:
        lines = [json.dumps(each) for each in render_objects(found, planned, topic)]
    else:
        lines = render_lines(found, planned, f"{topic} for the group {settings.kafka.group_id}")
        lines += [describe_plan(found, planned)] if planned else []
    typer.echo("\n".join(lines))
