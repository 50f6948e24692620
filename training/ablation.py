"""What each change of a recipe is worth: the recipe as it is and once for each change, over several seeds.

    recipe, variations → a run for each of them and each seed → dev probabilities → means, differences, intervals

A run leaves its dev probabilities and its figures, no weights. One that is there is not done again, so whoever was
interrupted gives the same command again. What was trained from another recipe, or on other texts, is never mixed in.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from model.device import choose_device, usable_cores
from model.tokens import Tokens

from .checkpoint import FREE_TO_CHANGE, Checkpoints, Interrupted, first_change, identity
from .data import Split
from .fit import epoch_figures, fit, probabilities
from .interrupt import Interrupt
from .intervals import LEVEL, RESAMPLES, Draws, compared, draws, whole_and_resampled
from .job import texts, untrained
from .metrics import ORIGINAL_THRESHOLD, Floats
from .processes import ProcessDied, each_in_its_own
from .progress import watchers
from .ranks import processes as processes_started
from .recipe import FILE, Recipe, RecipeError, resolve, settled, varied
from .speed import fastest_precision
from .tables import escaped

PLAIN = "the recipe as it is"
FIXED = {*FREE_TO_CHANGE, "seed", "limit", "device"} - {"teacher"}
"""Keys that no variation has: seeds are varied by themselves, all are measured on the same texts, the others are worth
nothing by what is measured here."""
FIGURES = {
    "macro_f1_cross_fitted": "macro F1, cross-fitted",
    "mean_average_precision": "mAP",
    "roc_auc": "ROC-AUC",
    "mcc_flattened_at_0.51": "MCC flattened at 0.51",
}
AGAIN = "go on with the same command"
Made = tuple[Floats, dict[str, Any], Split]
"""A run's probabilities of dev [N, K] and its record, and dev."""
PROBABILITIES, RUN, TABLE, RECORD = "dev.npz", "run.json", "ablation.md", "ablation.json"


class AblationError(Exception):
    """A folder that holds another ablation, or a variation that varies nothing: which one."""


@dataclass(frozen=True)
class Variation:
    """One row of the table.

    Attributes:
        name: the changes as they were given.
        recipe: with them.
    """

    name: str
    recipe: Recipe

    @property
    def folder(self) -> str:
        """What its runs' folder is called: readable, and no other's."""
        readable = re.sub(r"[^A-Za-z0-9.=+-]+", "_", self.name)[:60]
        return f"{readable}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"


def variations_of(recipe: Recipe, given: Sequence[str]) -> list[Variation]:
    """The recipe as it is, and one variation for each text `KEY=VALUE[,KEY=VALUE]`.

    Raises:
        AblationError: a variation changes nothing, stands twice, or changes what is the same for all.
        RecipeError: it has no `=`, its key is unknown, or its value none of the key's.
    """
    found = [Variation(PLAIN, recipe)]
    for text in given:
        changes: dict[str, object] = {}
        for assignment in re.split(r",(?=\s*\w+\s*=)", text):
            key, equals, value = (part.strip() for part in assignment.partition("="))
            if not equals:
                raise RecipeError(f"--vary {text}: it takes KEY=VALUE[,KEY=VALUE]")
            if key in FIXED:
                raise AblationError(f"--vary {text}: {key} is the same for all of them; give it with --set")
            changes[key] = value
        try:
            made = varied(recipe, changes)
        except RecipeError as error:
            raise RecipeError(f"--vary {text}: {error}") from None
        same = next((other for other in found if other.recipe == made), None)
        if same is not None:
            raise AblationError(f"--vary {text}: it comes to the same as {same.name!r}")
        found.append(Variation(", ".join(f"{key}={value}" for key, value in changes.items()), made))
    return found


def ablate(recipe: Recipe, given: Sequence[str], *, seeds: int, out: Path, console: Console, processes: int = 1) -> str:
    """Train what is not there yet, and write `ablation.md` and `ablation.json` to *out*.

    Args:
        given: as `variations_of` takes them.
        seeds: of each: the recipe's, and those that follow it.
        processes: how many runs are trained at a time: a small model does not fill a GPU, nor its steps many cores.

    Returns:
        The table, as it is written.

    Raises:
        AblationError: *out* holds another ablation, or more than one process was started.
        Interrupted: it was asked to stop; the same command goes on.
        DataError, DeviceUnknown, OSError, RecipeError, TeacherError, TrunkError: as they say.
    """
    if processes_started() > 1:
        raise AblationError("ablate trains in one process; start it without torchrun")
    variations_of(recipe, given)  # a mistake in one is not to show after hours of training
    recipe = _settled(recipe, out)
    variations = variations_of(recipe, given)
    said: dict[str, list[Floats]] = {variation.name: [] for variation in variations}
    runs: dict[str, list[dict[str, Any]]] = {variation.name: [] for variation in variations}
    of_seeds = range(recipe.seed, recipe.seed + seeds)
    todo = [(variation, seed) for seed in of_seeds for variation in variations]
    made = _all(todo, out, console, processes)
    for (variation, _), (probabilities_NK, run, _) in zip(todo, made, strict=True):
        said[variation.name].append(probabilities_NK)
        runs[variation.name].append(run)
    dev = made[0][2]
    record = {
        "recipe": recipe.model_dump(),
        "texts": len(dev),
        "dev_sha256": dev.sha256,
        "seeds": list(of_seeds),
        "level": LEVEL,
        "resamples": RESAMPLES,
        "variations": _rows(said, runs, dev),
    }
    written = table(record)
    (out / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (out / TABLE).write_text(written, encoding="utf-8")
    return written


def table(record: Mapping[str, Any]) -> str:
    """The record as a page of Markdown."""
    recipe, seeds = record["recipe"], record["seeds"]
    lines = [
        f"Preset `{recipe['preset']}` on trunk `{recipe['trunk']}`, {record['texts']:,} dev texts (sha256"
        f" {record['dev_sha256'][:12]}…), seeds {', '.join(map(str, seeds))}. Each figure: mean ± standard deviation"
        f" over seeds{'' if len(seeds) > 1 else ' (of one there is none)'}; under it the difference of means to"
        " the first row, with its interval.",
        "",
        f"| variation | {' | '.join(FIGURES.values())} |",
        f"|{'---|' * (1 + len(FIGURES))}",
    ]
    for row in record["variations"]:
        cells = [_cell(row["figures"][name], row["differences"].get(name)) for name in FIGURES]
        lines.append(f"| {escaped(row['name'])} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Intervals: {record['level']:.0%}, by the paired bootstrap over texts ({record['resamples']:,} resamples) of"
        " figures averaged over these seeds. They cover other texts like these. They do not cover other seeds: how far"
        " those go says the deviation. Nor do they cover that many variations are looked at: of twenty without any"
        " effect, one is likely to have an interval that leaves out 0. In bold, intervals that leave it out. Each run"
        " kept the epoch with the best mAP on these same texts, which flatters all rows alike.",
    ]
    return "\n".join(lines) + "\n"


def _settled(recipe: Recipe, out: Path) -> Recipe:
    """The recipe with what `auto` comes to, once for all runs, kept in *out* and read from there ever after."""
    kept = out / FILE
    if kept.is_file():
        before = resolve(None, kept, {})
        recipe = settled(recipe, before)
        # Where the texts lie may change; what they are is compared run by run.
        free = set(FREE_TO_CHANGE)
        changed = first_change(before.model_dump(exclude=free), recipe.model_dump(exclude=free))
        if changed is not None:
            raise AblationError(f"{out} holds an ablation with {changed}: give another --out, or the same recipe")
        return recipe
    device = choose_device(recipe.device)
    recipe = recipe.model_copy(update={"device": device})
    _, train, _, _ = texts(recipe)
    _, model = untrained(recipe, train.labels)
    if recipe.precision == "auto":
        precision = fastest_precision(model.to(device), torch.device(device))
        recipe = recipe.model_copy(update={"precision": precision})
    out.mkdir(parents=True, exist_ok=True)
    kept.write_text(recipe.toml(), encoding="utf-8")
    return recipe


def _all(todo: Sequence[tuple[Variation, int]], out: Path, console: Console, processes: int) -> list[Made]:
    """Every run, in order; what is there is read, and refused if it is another's, before any is trained."""
    recipes = [variation.recipe.model_copy(update={"seed": seed}) for variation, seed in todo]
    folders = [out / "runs" / variation.folder / str(seed) for variation, seed in todo]
    threads = max(1, usable_cores() // processes)
    made = {
        at: _kept(recipe, folder)
        for at, (recipe, folder) in enumerate(zip(recipes, folders, strict=True))
        if (folder / RUN).is_file()
    }
    missing = [at for at in range(len(todo)) if at not in made]
    named = [f"{variation.name}, seed {seed}" for variation, seed in todo]
    if processes == 1:
        with Interrupt() as stop:
            for at in missing:
                if stop():  # asked when the run before had no step left
                    raise Interrupted(f"interrupted; {AGAIN}")
                console.print(named[at])
                _train(recipes[at], folders[at], threads, stop, console)
                made[at] = _kept(recipes[at], folders[at])
    else:
        try:
            jobs = [(recipes[at], folders[at], threads) for at in missing]
            for done in each_in_its_own(_train, jobs, processes=processes):
                at = missing[done]
                made[at] = _kept(recipes[at], folders[at])
                console.print(f"{named[at]}: {made[at][1]['figures']}")
        except Interrupted:
            raise Interrupted(f"interrupted; {AGAIN}") from None
        except ProcessDied as died:
            raise AblationError(f"{died} The same command goes on") from None
    return [made[at] for at in range(len(todo))]


def _kept(recipe: Recipe, folder: Path) -> Made:
    """The run that is there."""
    _, train, dev, _ = texts(recipe)
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    changed = first_change(run["made_from"], identity(recipe, train, dev))
    if changed is not None:
        raise AblationError(f"{folder} was trained with {changed}: give another --out, or delete that folder")
    with np.load(folder / PROBABILITIES) as kept:
        return kept["probabilities"], run, dev


def _train(
    recipe: Recipe, folder: Path, threads: int, stop: Callable[[], bool], console: Console | None = None
) -> None:
    """One run into *folder*; without a console nothing is shown."""
    console = console or Console(quiet=True)
    torch.set_num_threads(threads)
    _, train, dev, _ = texts(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device(recipe.device)
    start, model = untrained(recipe, train.labels)
    tokens = Tokens(start.tokenizer, max_tokens=recipe.max_tokens)
    checkpoints = Checkpoints(folder, recipe, train, dev)
    try:
        with watchers(console, (), out=folder, name="", parameters={}) as progress:
            made = fit(
                model,
                tokens,
                train,
                dev,
                recipe,
                progress=progress,
                device=device,
                checkpoints=checkpoints,
                resume=checkpoints.there,
                stop=stop,
            )
    except Interrupted as interrupted:
        raise Interrupted(f"{interrupted}; {AGAIN}") from None
    said_NK = made.dev_MK
    probabilities_NK = probabilities(made.model, tokens(dev.texts), device=device) if said_NK is None else said_NK
    run = {
        "made_from": identity(recipe, train, dev),
        "figures": epoch_figures(probabilities_NK, dev),
        "best_epoch": made.best_epoch,
        "minutes": round(made.total_s / 60, 1),
        "examples_per_s": round(made.examples_per_s, 1),
    }
    np.savez_compressed(folder / PROBABILITIES, probabilities=probabilities_NK)
    unfinished = folder / f"{RUN}.new"
    unfinished.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(folder / RUN)  # last, and whole: it says that the run is there
    checkpoints.remove()


def _rows(
    said: Mapping[str, Sequence[Floats]], runs: Mapping[str, Sequence[Mapping[str, Any]]], dev: Split
) -> list[dict[str, Any]]:
    counts_RN = whole_and_resampled(len(dev))
    cuts = [ORIGINAL_THRESHOLD] * len(dev.labels)
    rows = []
    plain: dict[str, Draws] = {}
    for name, of_seeds in said.items():
        drawn = [draws(probabilities_NK, dev.targets_NK, cuts, counts_RN) for probabilities_NK in of_seeds]
        mean = {figure: np.mean([seed[figure] for seed in drawn], axis=0) for figure in FIGURES}
        plain = plain or mean
        exact = {figure: np.array([seed[figure][0] for seed in drawn]) for figure in FIGURES}
        rows.append(
            {
                "name": name,
                "figures": {figure: _spread(values_S) for figure, values_S in exact.items()},
                "differences": {} if mean is plain else compared(plain, mean),
                "runs": [{key: value for key, value in run.items() if key != "made_from"} for run in runs[name]],
            }
        )
    return rows


def _spread(values_S: Draws) -> dict[str, float | None] | None:
    if np.isnan(values_S).any():
        return None
    deviation = round(float(values_S.std(ddof=1)), 4) if len(values_S) > 1 else None
    return {"mean": round(float(values_S.mean()), 4), "std": deviation}


def _cell(spread: Mapping[str, float | None] | None, difference: Mapping[str, Any] | None) -> str:
    if spread is None:
        return "undefined"
    deviation = "" if spread["std"] is None else f" ± {spread['std']:.4f}"
    shown = f"{spread['mean']:.4f}{deviation}"
    if difference is None:
        return shown
    low, high = difference["interval"]
    ahead = f"{difference['difference']:+.4f} ({low:+.4f} to {high:+.4f})"
    return f"{shown}<br>{f'**{ahead}**' if difference['shown'] else ahead}"
