"""`emotag config`: show, list and check the settings."""

import json
import os
from typing import Annotated

import typer

from .app import Config, Set, add_group, format_examples, load_settings, warn_about_variables


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = add_group(app, "config", "List, check and print the settings.")
    group.command(
        "list",
        epilog=format_examples("emotag config list", "emotag config list --json --config emotag.toml"),
    )(config_list)
    group.command(
        "check",
        epilog=format_examples("emotag config check", "emotag config check --config emotag.toml"),
    )(config_check)
    group.command("show", epilog=format_examples("emotag config show --config emotag.toml"))(config_show)
    group.command("example", epilog=format_examples("emotag config example > emotag.toml"))(config_example)


def config_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per setting.")] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """List every setting with its value and meaning.

    Each setting has its environment variable, its default, its value, and the source of the value: default, file,
    variable or --set. Secrets are masked.
    """
    from rich.console import Console

    from emotag_worker.settings import loader
    from emotag_worker.terminal.settings_tables import list_objects, render_settings

    sources = loader.read_sources(config, loader.parse_flags(set_ or ()))
    objects = list_objects(loader.validate(sources), sources)
    warn_about_variables()
    if as_json:
        for each in objects:
            typer.echo(json.dumps(each, ensure_ascii=False))
    else:
        Console(highlight=False).print(render_settings(objects))


def config_check(config: Config = None, set_: Set = None) -> None:
    """Check settings, Kafka properties, device and model.

    The command starts no worker and does not connect to the brokers. The exit code is 0 if everything is valid.
    Unknown variables that begin with EMOTAG_ are errors here. Other commands only print or log a warning about those
    that name no section, for example EMOTAG_TOPIC.
    """
    from emotag_worker.errors import SettingsError
    from emotag_worker.settings import check_cache_secret, find_exposures
    from emotag_worker.settings.loader import find_unknown_variables

    settings = load_settings(config, set_, warn=False)
    # Imported only now, because it imports the engines: a mistake in a setting is reported without waiting for them.
    from emotag_worker.service import check

    check(settings)
    if unknown := find_unknown_variables(os.environ):
        raise SettingsError("; ".join(unknown))
    secret = check_cache_secret(settings)
    for warning in ([secret] if secret else []) + find_exposures(settings):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo("the settings are valid")


def config_show(config: Config = None, set_: Set = None) -> None:
    """Print all values as one JSON object, with secrets masked."""
    from emotag_worker.settings.reference import mask_secrets

    typer.echo(json.dumps(mask_secrets(load_settings(config, set_)), indent=2))


def config_example() -> None:
    """Print a commented TOML file with every setting."""
    from emotag_worker.terminal.settings_tables import render_example

    typer.echo(render_example(), nl=False)
