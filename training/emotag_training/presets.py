"""The presets, and how a preset, a TOML file and options combine into one recipe.

Priority, highest first: options and --set, the file (--config), the preset. Options name keys with their section, as in
`schedule.learning_rate`.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotag_model.files import read_toml

from .errors import RecipeError
from .recipe import (
    ALL,
    MAY_BE_ALL,
    EncoderSection,
    HeadSection,
    Recipe,
    RunSection,
    ScheduleSection,
)

PRESETS = {
    "default": Recipe(),
    # Twelve layers instead of six: they learn faster and need fewer epochs.
    "base": Recipe(
        preset="base",
        encoder=EncoderSection(name="bge-small"),
        schedule=ScheduleSection(epochs=3, learning_rate=1e-4, layer_decay=0.9),
    ),
    # The reference recipe, from https://github.com/burning-phoenix/GoEmotions: only the last three layers are trained,
    # with one rate for all of them, and every label has the same threshold.
    "reference": Recipe(
        preset="reference",
        encoder=EncoderSection(trainable_layers=3, token_masking=0.0),
        head=HeadSection(dropout=0.42),
        schedule=ScheduleSection(
            epochs=5,
            learning_rate=7e-5,
            head_learning_rate=7e-5,
            layer_decay=1.0,
            warmup=0.0,
            per_epoch_cosine=True,
            ema=0.0,
        ),
        run=RunSection(threshold="fixed:0.51"),
    ),
}

AUTOMATIC = ("run.device", "run.precision")
"""Keys whose `auto` is resolved when a run begins, and not again when the run is resumed."""

KEYS = "every recipe.toml and docs/train.md list the keys"

SMOKE: Mapping[str, object] = {"data.limit": 200, "schedule.epochs": 1}
"""The changes of `--smoke`: enough to see in less than a minute that everything runs."""


def resolve(preset: str | None, file: Path | None, changes: Mapping[str, object]) -> Recipe:
    """Return the recipe of a preset, a file over the preset, and *changes* over both.

    Args:
        preset: a name in `PRESETS`. None: the one that the file names, or `default`.
        changes: values by dotted key; a value may be text, as in --set.

    Raises:
        RecipeError: a key is unknown, a value does not fit its key, or the file cannot be read.
    """
    tables = {} if file is None else read_toml(file, error=RecipeError)
    names = {str(name) for name in (preset, tables.get("preset"), changes.get("preset")) if name is not None}
    if len(names) > 1:
        raise RecipeError(
            f"two presets are named, {' and '.join(sorted(names))}: keep one (--preset, the file, --set preset)"
        )
    name = names.pop() if names else "default"
    if name not in PRESETS:
        raise RecipeError(f"--preset {name}: unknown; the presets are {', '.join(PRESETS)}")
    # Values in a TOML file have types: 1 is not true. The value of an option is text.
    recipe = _validate(_overlay(PRESETS[name].model_dump(), tables), where=f"{file}: ", strict=True)
    return apply_changes(recipe, changes)


def apply_changes(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """Return *recipe* with changed values, by dotted key; a value may be text, as in --set.

    Raises:
        RecipeError: a key is unknown, or a value does not fit its key.
    """
    tables: dict[str, Any] = {}
    for dotted, value in changes.items():
        section, point, key = dotted.partition(".")
        if point and section in Recipe.model_fields and section != "preset":
            tables.setdefault(section, {})[key] = value
        else:
            tables[dotted] = value
    return _validate(_overlay(recipe.model_dump(), tables), where="", strict=False)


def keep_automatic(recipe: Recipe, before: Recipe) -> Recipe:
    """Return *recipe* with each remaining `auto` replaced by its value in *before*, the recipe of the same run."""
    now, resolved = recipe.flatten(), before.flatten()
    return apply_changes(recipe, {key: resolved[key] for key in AUTOMATIC if now[key] == "auto"})


def parse_changes(assignments: Sequence[str]) -> dict[str, object]:
    """Return assignments such as `schedule.learning_rate=1e-4` as values by dotted key.

    Raises:
        RecipeError: one of them has no `=`.
    """
    changes: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise RecipeError(
                f"--set {assignment}: the value is missing; write SECTION.KEY=VALUE, for example schedule.epochs=3"
            )
        changes[key.strip()] = value.strip()
    return changes


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return *below* with the values of *above*, table by table."""
    merged = dict(below)
    for key, value in above.items():
        both_are_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both_are_tables else value
    return merged


def _validate(values: Mapping[str, Any], *, where: str, strict: bool) -> Recipe:
    try:
        return Recipe.model_validate(values, strict=strict)
    except ValidationError as error:
        problems = dict.fromkeys(_explain(problem) for problem in error.errors(include_url=False))
        raise RecipeError(where + "; ".join(problems)) from None


def _explain(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"][:2])
    kind, message = problem["type"], str(problem["msg"])
    if kind == "extra_forbidden":
        near = _nearest_key(key)
        return f"{key!r} is not a key of a recipe; " + (f"did you mean {near}?" if near else KEYS)
    if kind == "cache_frozen":
        return f"{key}.{message}"
    if kind == "model_type":
        return f"{key} = {problem['input']!r:.60}: it is a table; set its keys as {key}.KEY"
    needs = message.removeprefix("Input ").partition(", unable to")[0]
    or_all = f", or {ALL!r}" if key in MAY_BE_ALL else ""
    return f"{key} = {problem['input']!r:.60}: it {needs}{or_all} (default: {_show_default(key)})"


def _show_default(key: str) -> str:
    default = Recipe().flatten().get(key)
    return repr(ALL if default is None else default)


def _nearest_key(key: str) -> str | None:
    """Return the key that the user may have meant, with its section: by its initials (`lr`) or its spelling.

    None if no key is similar.
    """
    section, _, last = key.rpartition(".")
    known = Recipe().flatten()
    inside = [name for name in known if name.startswith(f"{section}.")] if section else list(known)
    by_name = {name.rpartition(".")[2]: name for name in reversed(inside)}
    if not section:
        by_name |= {name: f"[{name}]" for name in Recipe.model_fields if name != "preset"}
    by_initials = {"".join(word[0] for word in name.split("_")): name for name in by_name if "_" in name}
    near = [by_initials[last]] if last in by_initials else difflib.get_close_matches(last, by_name, n=1)
    return by_name[near[0]] if near else None
