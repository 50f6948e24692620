"""`emotag dlq`: list dead letters, and put them back."""

import json
import sys
from typing import Annotated

import typer

from .app import Config, Set, add_group, format_examples, load_settings, print_note

Reason = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only dead letters with this reason, for example NotJson.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = add_group(app, "dlq", "List and replay dead letters, the records that cannot be tagged.")
    group.command(
        "list",
        epilog=format_examples("emotag dlq list", "emotag dlq list --json --reason NotJson --limit 100"),
    )(dlq_list)
    group.command(
        "replay",
        epilog=format_examples(
            "emotag dlq replay --dry-run",
            "emotag dlq replay --reason DeviceRejected --yes",
            "emotag dlq replay --from 3:1200 --yes",
        ),
    )(dlq_replay)


def dlq_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per dead letter.")] = False,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="End after N dead letters.")] = None,
    show_texts: Annotated[
        bool, typer.Option("--show-texts", help="Also print the records. Their texts may be private.")
    ] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """List the dead letters: time, state, reason and message.

    The state is `done` if a replay has put the dead letter back, or skipped it for good. Otherwise it is `open`, or `–`
    (null in JSON) if it is unknown: another program, input topic or group wrote the dead letter, or Kafka may have
    deleted the progress of replays. A record that is refused again after a replay is a new dead letter.

    Texts are printed only with --show-texts. An error message never contains a part of the record.
    """
    from collections import Counter

    from emotag_worker.dlq import letters, states
    from emotag_worker.kafka import clients
    from emotag_worker.kafka.connection import get_connection
    from emotag_worker.terminal.tables import escape_controls

    settings = load_settings(config, set_)
    topic, wanted = settings.dlq.topic, letters.require_reason(reason)
    consumer = clients.create_finite_reader(settings)
    listed: Counter[str] = Counter()
    ranges = letters.read_extent(consumer, topic)
    with clients.create_admin(settings, polled=True) as admin:
        progress = states.fetch_progress(admin, settings, ranges)
    for letter in letters.read_letters(consumer, topic, ranges, within_s=get_connection(consumer).answer_s):
        if wanted not in (None, letter.reason):
            continue
        listed[letter.reason] += 1
        state = states.find_state(letter, progress, settings)
        if as_json:
            found = letters.render_object(letter, state=state, texts=show_texts)
            typer.echo(escape_controls(json.dumps(found, ensure_ascii=False)))
        else:
            if listed.total() == 1:
                typer.echo(letters.render_header(topic, settings.input.topic))
            typer.echo(letters.render_line(letter, state=state, texts=show_texts))
        if listed.total() == limit:
            break
    consumer.close()
    if not listed or (sys.stdout.isatty() and not as_json):
        print_note(letters.render_summary(listed, topic=topic))


def dlq_replay(
    reason: Reason = None,
    begin: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PARTITION:OFFSET",
            help="Begin at this offset of the dead-letter topic, or at its `beginning`. Also puts back dead letters "
            "that an earlier replay put back. Repeatable.",
        ),
    ] = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Skip dead letters after N attempts, with the first one.")
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be put back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Put each dead letter back on the input topic, once.

    Fix the cause first: a record that is refused again becomes a new dead letter, for the next replay. Key, value,
    timestamp and headers of a record do not change.

    You can kill and rerun a replay safely: it resumes where it stopped. A second replay puts back only new dead
    letters. Kafka stores the progress in the consumer group `emotag-dlq-replay` (your group id and -dlq-replay).

    With --reason, the other dead letters stay for a later replay. The command skips dead letters after --max-attempts
    attempts, and those of another input topic or group. Later replays do not return to them, unless you use --from.
    """
    from emotag_worker.dlq import replay
    from emotag_worker.errors import ReplayRefused
    from emotag_worker.kafka import clients
    from emotag_worker.kafka.output.sink import DeliveryFailures, create_sink

    settings = load_settings(config, set_)
    selection = replay.parse_selection(reason, max_attempts, begin or ())
    if not (dry_run or yes or sys.stdin.isatty()):
        raise ReplayRefused("there is no terminal to confirm on; use --yes, or --dry-run to see what would be put back")
    consumer = clients.create_replay_consumer(settings)
    one = replay.Replay(consumer, settings, selection)
    if dry_run or not yes:
        survey = one.survey()
        typer.echo(replay.render_count(survey, done=False, topic=settings.input.topic))
        if dry_run:
            return
        if survey.due and not typer.confirm("put them back?"):
            print_note("nothing was put back")
            return
    failures = DeliveryFailures()
    producer = clients.create_replay_producer(settings, failures)
    done = one.put_back(create_sink(settings, producer, failures), producer)
    typer.echo(replay.render_count(done, done=True, topic=settings.input.topic))
    consumer.close()
