"""`emotag run`."""

import os
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from emotag_worker.errors import PERSON_NEEDED, SettingsError, TopicMissing, WorkerError

from .app import Config, Set, describe_error, find_exit_code, format_examples, load_settings, read_version
from .offsets import read_time

if TYPE_CHECKING:
    from emotag_worker.lifecycle import Lifecycle
    from emotag_worker.observability.telemetry import Telemetry
    from emotag_worker.settings import Settings
    from emotag_worker.supervisor.child import Link

COMPACT = "%Y%m%dT%H%M%S.%fZ"
"""A time in the name of a group."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        epilog=format_examples(
            "emotag run",
            "emotag run --config emotag.toml",
            "emotag run --set kafka.group_id=mine --set input.format=text",
            "emotag run --processes auto",
            "emotag run --from 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z",
        )
    )(run)


def run(
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Begin at the first record of this RFC 3339 time or later."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="End before the first record of this RFC 3339 time or later."),
    ] = None,
    processes: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Start N workers, each in a process. Overrides EMOTAG_PROCESSES."),
    ] = None,
    config: Config = None,
    set_: Set = None,
    child: Annotated[str | None, typer.Option(hidden=True, help="For workers of a supervisor.")] = None,
) -> None:
    """Read texts and write emotions, until SIGTERM or Ctrl-C.

    With --from and --until, the command tags the records of a range of time again, and ends with exit code 0 when all
    of them have a result. It uses its own consumer group, so it does not move your workers. You can kill and rerun it
    safely: it resumes where it stopped. Several of these commands with the same two times share the range.

    With --processes, a supervisor starts several workers. They share the cores and one port for metrics and probes. The
    supervisor restarts workers that fail, and one signal ends all of them.

    Exit codes: 0 after a signal; 1 if something outside failed, such as the brokers: restart the worker; 2 if a person
    must fix something first. With EMOTAG_ON_MISTAKE=hold, the worker then waits for a signal before it exits with 2.
    """
    from emotag_worker.supervisor.child import Link
    from emotag_worker.supervisor.shares import count_processes

    span = _read_range(begin, until)
    flags = [*(set_ or []), *([] if processes is None else [f"processes={processes}"])]
    settings = load_settings(config, flags, warn=False)  # logged below
    if child is None and (count := count_processes(settings.processes, settings.model.device)) > 1:
        if config is not None and not config.is_file():
            raise SettingsError(f"--config {config} is not a file: each of the {count} processes has to read it")
        raise typer.Exit(_supervise(settings, count))
    if span is not None:
        settings = _limit(settings, *span)
    _work(settings, None if span is None else span[1], Link.open(child))


def _work(settings: "Settings", until: datetime | None, link: "Link | None") -> None:
    """Run one worker.

    Args:
        link: the connection to the supervisor; None without one.
    """
    from emotag_worker.lifecycle import Lifecycle
    from emotag_worker.observability.logs import configure_logging
    from emotag_worker.observability.telemetry import Telemetry
    from emotag_worker.supervisor.child import adapt_settings

    if link is not None:
        settings = adapt_settings(settings, link.number)
    configure_logging(settings.log, process=None if link is None else link.number)
    telemetry = Telemetry()
    lifecycle = Lifecycle(shutdown_timeout_s=settings.shutdown_timeout_s, telemetry=telemetry)
    lifecycle.watch_signals()
    if link is not None:
        lifecycle.on_started = lambda: link.report(started=True)
        link.watch(lambda: lifecycle.shut_down("supervisor"))
    if link is None or link.number == 0:
        _report_doubtful_settings(settings, telemetry)
    try:
        _serve(settings, telemetry, lifecycle, until=until, link=link)
    except Exception as error:
        code = find_exit_code(error)
        if code is None:
            raise
        _stop(describe_error(error), code, telemetry, lifecycle, link)
        raise typer.Exit(code) from error
    _stop("the range is done" if lifecycle.is_done else "signal", 0, telemetry, lifecycle, link)


def _stop(reason: str, code: int, telemetry: "Telemetry", lifecycle: "Lifecycle", link: "Link | None") -> None:
    """Report the end of a worker."""
    telemetry.report_stop(reason=reason, exit_code=code)
    if link is not None:
        link.report(reason=reason, done=lifecycle.is_done)


def _supervise(settings: "Settings", count: int) -> int:
    """Run several workers, and return the exit code of the command."""
    from emotag_worker.observability.admin_server import Admin
    from emotag_worker.observability.logs import configure_logging
    from emotag_worker.supervisor.child import Child
    from emotag_worker.supervisor.exposition import Exposition
    from emotag_worker.supervisor.shares import list_cores, split_cores
    from emotag_worker.supervisor.supervisor import Supervisor

    configure_logging(settings.log)
    command = [sys.executable, "-P", "-m", "emotag_worker", *sys.argv[1:]]
    shares = split_cores(list_cores(), count)
    children = [Child(number, command, cores) for number, cores in enumerate(shares)]
    supervisor = Supervisor(children, shutdown_timeout_s=settings.shutdown_timeout_s)
    exposition = Exposition(children)
    try:
        admin = Admin(
            settings.admin.host, settings.admin.port, probe=exposition.probe, metrics=exposition.render_metrics
        )
    except WorkerError as error:
        return supervisor.fail(describe_error(error), error.exit_code)
    with admin:
        return supervisor.run(settings.admin.host, admin.port)


def _read_range(begin: str | None, until: str | None) -> tuple[datetime, datetime] | None:
    """Return the two times; None if the run has no end."""
    if begin is None and until is None:
        return None
    if begin is None or until is None:
        raise typer.BadParameter("give both times, or none", param_hint="'--from / --until'")
    first, end = read_time("--from", begin), read_time("--until", until)
    if not first < end:
        raise typer.BadParameter(f"{until} is not after --from {begin}", param_hint="'--until'")
    if end > datetime.now(UTC):  # records of that time may still come, and would get no result
        raise typer.BadParameter(f"{until} is in the future; use a time that has passed", param_hint="'--until'")
    return first, end


def _limit(settings: "Settings", first: datetime, end: datetime) -> "Settings":
    """Return the settings for a range: a group of its own, which begins at *first*."""
    name = "-".join((settings.kafka.group_id, "backfill", first.strftime(COMPACT), end.strftime(COMPACT)))
    kafka = settings.kafka.model_copy(update={"group_id": name})
    source = settings.input.model_copy(update={"start": first.isoformat()})
    return settings.model_copy(update={"kafka": kafka, "input": source})


def _report_doubtful_settings(settings: "Settings", telemetry: "Telemetry") -> None:
    from emotag_worker.settings import check_cache_secret, find_exposures
    from emotag_worker.settings.loader import find_unknown_variables

    for line in find_unknown_variables(os.environ):
        telemetry.report_ignored_setting(line)
    if warning := check_cache_secret(settings):
        telemetry.report_cache_without_secret(warning)
    for line in find_exposures(settings):
        telemetry.report_insecure_setting(line)


def _serve(
    settings: "Settings",
    telemetry: "Telemetry",
    lifecycle: "Lifecycle",
    *,
    until: datetime | None,
    link: "Link | None" = None,
) -> None:
    from emotag_worker.observability.admin_server import Admin

    admin = Admin(settings.admin.host, settings.admin.port, probe=lifecycle.probe, metrics=telemetry.render_metrics)
    with admin:
        telemetry.report_admin_server(settings.admin.host, admin.port)
        if link is not None:
            link.report(port=admin.port)
        # Importing the service imports the model. By now, probes get a response and signals are handled.
        from emotag_worker.service import serve

        try:
            serve(settings, telemetry, lifecycle, version=read_version(), until=until)
        except Exception as error:
            # A missing topic ends the worker even so: an operator of topics may create it soon, and restarts are then
            # enough. Without topics, the worker has no partitions that its restarts would move.
            if (
                settings.on_mistake == "hold"
                and find_exit_code(error) == PERSON_NEEDED
                and not isinstance(error, TopicMissing)
            ):
                _hold(error, telemetry, lifecycle)
            raise


def _hold(error: Exception, telemetry: "Telemetry", lifecycle: "Lifecycle") -> None:
    """Wait for a signal. By now, the partitions are released."""
    # The frames refer to the model and to the producer, which are not needed any more.
    traceback.clear_frames(error.__traceback__)
    telemetry.report_hold(type(error).__name__, describe_error(error))
    lifecycle.hold()
