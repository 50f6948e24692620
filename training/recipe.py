"""What decides a run: every choice in one frozen value, the presets by name, and the TOML file that holds one.

    preset → file (--config) → options and --set

What stands further right wins. The file that a run leaves beside its artifact names every key, so that it alone gives
the same run again. It is flat; what TOML has no word for, an absent number, it calls "all".
"""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from . import folds
from .policy import POLICIES
from .policy import parse as parse_policy

FILE = "recipe.toml"
ALL = "all"


class RecipeError(Exception):
    """A recipe that cannot be used: which key or file, and what it takes."""


def _none_for_all(value: object) -> object:
    return None if value == ALL else value


def _odd_sizes(value: str) -> str:
    if not re.fullmatch(r"[1-9]?[13579](\+[1-9]?[13579])*", value):
        raise PydanticCustomError("kernel_sizes", "Input takes odd numbers below 100, as 5 or 3+5+7")
    return value


def _one_of_several(value: str) -> str:
    try:
        if value:
            folds.parse(value)
    except ValueError:
        raise PydanticCustomError("fold", "Input takes one of several folds, as 2/5") from None
    return value


def _policy(value: str) -> str:
    try:
        parse_policy(value)
    except ValueError:
        raise PydanticCustomError("threshold", f"Input takes {POLICIES}") from None
    return value


Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Exponent = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=1)]


class Recipe(BaseModel):
    """One way of training.

    Attributes:
        preset: what the other keys were taken from where nothing else was said.
        data: what `training/data_set.py` says: a folder, datasets:NAME, `kaggle`, or `origin`.
        trunk: `minilm`, `bge-small`, a local folder, or a hub id; to teach with, `mpnet`.
        name: the model's; the out folder's where empty.
        license: of the model, for its card, as a hub writes it: `mit`, `cc-by-4.0`. Empty: named where it is known.
        seed: of all that is random.
        limit: only the first rows of train and dev. None: all.
        fold: `2/5`: the second of five parts of the training texts is not learnt from; the run leaves what the model
            says of those texts, to teach with, and no artifact. See `training/folds.py`. Empty: all are learnt from.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        precision: of the forward and backward pass (weights stay fp32); `auto` measures which is faster.
        epochs: passes over the training texts.
        batch_size: texts per step.
        learning_rate: of the trunk's last layer.
        head_learning_rate: of convolution and classifier, which start from nothing.
        layer_decay: each layer's rate is the next one's times this (Howard and Ruder 2018); 1 gives all the same.
        trainable_layers: how many of the last layers learn, the rest and the embeddings frozen. None: all learn.
        cache_frozen: compute what frozen layers make of each text once, before training, instead of in every step; it
            takes away their dropout, and hidden_tokens has to be 0.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all steps over which the rate rises.
        per_epoch_cosine: the rate falls once an epoch, as the original does; otherwise at every step.
        head_dropout: before the classifier.
        multi_sample_dropout: how many dropout masks before the classifier a step averages its loss over (Inoue 2019,
            arXiv:1905.09788); only the classifier is computed so many times. 1 is dropout as usual.
        r_drop: weight of the divergence between two passes of each text with different dropout (Liang et al. 2021,
            arXiv:2106.14448); every step then computes its texts twice. 0: one pass. See `training/passes.py`.
        kernel_sizes: tokens that the convolution's kernels see, odd; several as `3+5+7`, which share the channels
            evenly (Kim 2014, arXiv:1408.5882). The model that comes of it has the widest one with zeros in the others.
        trunk_dropout: within the trunk, as its pre-training had it.
        hidden_tokens: share of tokens replaced by [MASK] in training, anew at every step: 43,000 texts are few, and a
            model that may not lean on any one word overfits later.
        ema: decay per step of the averaged weights that are evaluated and exported; 0 takes the weights as they are.
        loss: `bce`, `focal`, `asymmetric` or `distribution_balanced`; their formulas stand in `training/loss.py`, as
            those of the next ones do.
        focal_gamma: how strongly focal loss looks away from what is easy.
        asymmetric_gamma_positive: the same for a label that a text has, in asymmetric loss.
        asymmetric_gamma_negative: the same for one that it has not.
        asymmetric_clip: what asymmetric loss takes off the probability of a label that a text has not.
        distribution_alpha: in distribution-balanced loss the least weight of a decision; the most is one more. This
            and the next four have the values with which its authors trained on COCO-LT.
        distribution_beta: how steeply the weight rises with the rebalancing ratio.
        distribution_mu: the ratio at which it is halfway.
        distribution_kappa: how far a rare label's logits are shifted in training.
        distribution_lambda: how much sooner a label that a text has not is let go.
        class_balanced: beta of the labels' weights by how often they occur; 0 weighs all alike.
        label_smoothing: how far targets move from 0 and 1 toward one half.
        repeats: what a text is learnt with that stands in train several times: each time its own labels (`keep`), or
            the mean over all of them (`mean`).
        confident_learning: where the teacher confidently contradicts a rater's label, for or against, learn the
            teacher's probability instead (Northcutt et al. 2019, arXiv:1911.00068); see `training/teacher.py`.
        teacher: a file that `emotag-train teach` wrote: what other models say of the training texts. Empty: none.
        teacher_share: how far targets are the teacher's probabilities; the rest is what the raters said.
        max_tokens: the model's window.
        calibrate: fit Platt scaling on dev and fold it into the last layer, before thresholds are chosen.
        threshold: `f1` tunes one threshold per label on dev; `precision@p` takes each label's least one that is right
            that often there; `fixed:t` takes t for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "default"
    data: str = "origin"
    trunk: str = "minilm"
    name: str = ""
    license: Annotated[str, Field(pattern=r"^[a-z0-9.-]*$")] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    limit: Annotated[Annotated[int, Field(ge=32)] | None, BeforeValidator(_none_for_all)] = None
    fold: Annotated[str, AfterValidator(_one_of_several)] = ""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    epochs: Whole = 5
    batch_size: Whole = 32
    learning_rate: Rate = 1.5e-4
    head_learning_rate: Rate = 1e-3
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.85
    trainable_layers: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_none_for_all)] = None
    cache_frozen: bool = False
    weight_decay: Exponent = 0.01
    warmup: Share = 0.05
    per_epoch_cosine: bool = False
    head_dropout: Share = 0.3
    multi_sample_dropout: Whole = 1
    r_drop: Exponent = 0.0
    kernel_sizes: Annotated[str, AfterValidator(_odd_sizes)] = "5"
    trunk_dropout: Share = 0.1
    hidden_tokens: Share = 0.1
    ema: Share = 0.999
    loss: Literal["bce", "focal", "asymmetric", "distribution_balanced"] = "bce"
    focal_gamma: Exponent = 2.0
    asymmetric_gamma_positive: Exponent = 0.0
    asymmetric_gamma_negative: Exponent = 4.0
    asymmetric_clip: Share = 0.05
    distribution_alpha: Exponent = 0.1
    distribution_beta: Exponent = 10.0
    distribution_mu: Exponent = 0.2
    distribution_kappa: Exponent = 0.05
    distribution_lambda: Rate = 2.0
    class_balanced: Share = 0.0
    label_smoothing: Share = 0.0
    repeats: Literal["keep", "mean"] = "keep"
    confident_learning: bool = False
    teacher: str = ""
    teacher_share: Annotated[float, Field(ge=0, le=1)] = 0.7
    max_tokens: Annotated[int, Field(ge=2)] = 128
    calibrate: bool = False
    threshold: Annotated[str, AfterValidator(_policy)] = "f1"

    def toml(self) -> str:
        """The recipe as a TOML file, every key in it."""
        lines = (f"{key} = {_toml_value(value)}\n" for key, value in self.model_dump().items())
        return f"# emotag-train fit --config {FILE}\n{''.join(lines)}"


PRESETS = {
    "default": Recipe(),
    # Twelve layers instead of six, which learn faster and are gone through fewer times.
    "base": Recipe(preset="base", trunk="bge-small", epochs=3, learning_rate=1e-4, layer_decay=0.9),
    # The original model's own: DistilBERT's last three layers, one rate for all, one threshold for every label.
    "original": Recipe(
        preset="original",
        epochs=5,
        learning_rate=7e-5,
        head_learning_rate=7e-5,
        layer_decay=1.0,
        trainable_layers=3,
        warmup=0.0,
        per_epoch_cosine=True,
        head_dropout=0.42,
        hidden_tokens=0.0,
        ema=0.0,
        threshold="fixed:0.51",
    ),
}

AUTOMATIC = ("device", "precision")
"""Keys whose `auto` is settled when a run begins, and is not asked again when it goes on."""

SMOKE = {"limit": 200, "epochs": 1}
"""What `--smoke` changes: enough to see that everything runs, in less than a minute."""


def resolve(preset: str | None, file: Path | None, changes: Mapping[str, object]) -> Recipe:
    """The recipe that a preset, a file over it and *changes* over both come to.

    Args:
        preset: a name in `PRESETS`. None: the one that the file names, or `default`.
        changes: values, or texts of them as --set has them.

    Raises:
        RecipeError: a key is unknown, a value is none of its key's, or the file cannot be read.
    """
    written = {} if file is None else _read(file)
    names = {str(name) for name in (preset, written.get("preset"), changes.get("preset")) if name is not None}
    if len(names) > 1:
        raise RecipeError(f"more than one preset is named: {', '.join(sorted(names))}")
    name = names.pop() if names else "default"
    if name not in PRESETS:
        raise RecipeError(f"preset {name!r} is unknown; it takes {', '.join(PRESETS)}")
    # A file has types of its own, and 1 is not true there; an option's value is text.
    recipe = _validated({**PRESETS[name].model_dump(), **written}, where=f"{file}: ", strict=True)
    return varied(recipe, changes)


def varied(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """*recipe* with some values changed, as --set has them.

    Raises:
        RecipeError: a key is unknown, or a value is none of its key's.
    """
    return _validated({**recipe.model_dump(), **changes}, where="", strict=False)


def settled(recipe: Recipe, before: Recipe) -> Recipe:
    """*recipe* with what its `auto` came to when the same run began, by *before*."""
    found = {key: getattr(before, key) for key in AUTOMATIC if getattr(recipe, key) == "auto"}
    return recipe.model_copy(update=found)


def parse_changes(assignments: Sequence[str]) -> dict[str, object]:
    """`learning_rate=1e-4` and the like, by key.

    Raises:
        RecipeError: one of them has no `=`.
    """
    changes: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise RecipeError(f"--set {assignment}: it takes KEY=VALUE")
        changes[key.strip()] = value.strip()
    return changes


def _validated(values: Mapping[str, object], *, where: str, strict: bool) -> Recipe:
    try:
        recipe = Recipe.model_validate(values, strict=strict)
    except ValidationError as error:
        problems = dict.fromkeys(_explain(problem) for problem in error.errors(include_url=False))
        raise RecipeError(where + "; ".join(problems)) from None
    if recipe.cache_frozen and (recipe.trainable_layers is None or recipe.hidden_tokens):
        raise RecipeError(f"{where}cache_frozen = true: it takes a number of trainable_layers, and hidden_tokens = 0")
    if recipe.confident_learning and not recipe.teacher:
        raise RecipeError(f"{where}confident_learning = true: it takes a teacher")
    return recipe


def _explain(problem: Any) -> str:
    key = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Recipe.model_fields, n=1)
        return f"{key!r} is no key of a recipe" + (f"; did you mean {near[0]}?" if near else "")
    takes = str(problem["msg"]).removeprefix("Input ")
    or_all = f", or {ALL!r}" if key in ("limit", "trainable_layers") else ""
    return f"{key} = {problem['input']!r:.60}: it {takes}{or_all}"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file}: not TOML: {error}") from error


def _toml_value(value: object) -> str:
    """A text, number or truth as TOML writes it: as JSON does, but for one control character."""
    text = json.dumps(ALL if value is None else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
