"""A recipe: everything that decides a training run, in one frozen value with a section for each part of the run.

The file that a run writes next to its artifact (`recipe.toml`) names every key, so that the file alone repeats the run.
TOML has no null: a number that is not set is written as "all". `presets.py` combines a preset, a
file and options.
"""

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from emotag_model.scope.languages import check_languages

from .data.columns import TEXT, Columns
from .distillation.folds import parse_fold
from .errors import PolicyError, RecipeError
from .evaluation.thresholds import POLICIES, parse_policy

FILE = "recipe.toml"
ALL = "all"
MAY_BE_ALL = ("data.limit", "encoder.trainable_layers")


def _parse_all(value: object) -> object:
    return None if value == ALL else value


def _check_kernel_sizes(value: str) -> str:
    if not re.fullmatch(r"[1-9]?[13579](\+[1-9]?[13579])*", value):
        raise PydanticCustomError("kernel_sizes", "Input takes odd numbers below 100, for example 5 or 3+5+7")
    return value


def _check_fold(value: str) -> str:
    try:
        if value:
            parse_fold(value)
    except RecipeError:
        raise PydanticCustomError("fold", "Input takes one of several folds, for example 2/5") from None
    return value


def _check_languages(value: str) -> str:
    try:
        check_languages(value.split("+"))
    except ValueError:
        raise PydanticCustomError("languages", "Input takes codes of languages, for example en or en+ko") from None
    return value


def _check_policy(value: str) -> str:
    try:
        parse_policy(value)
    except PolicyError:
        raise PydanticCustomError("threshold", f"Input takes {POLICIES}") from None
    return value


Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Exponent = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of the sections: frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(Section):
    """The texts.

    Attributes:
        source: a file, a folder, `datasets:NAME`, `kaggle` or `goemotions`; see `data/sources.py`.
        text_column: the column of the texts.
        label_columns: one column with the labels of each text, or one of 0 and 1 for each label, with commas between
            them. Empty: `labels` or `label`.
        limit: use only the first rows of train and dev. None: all rows.
        fold: `2/5` leaves the second of five parts of the training texts out. The run then writes predictions for
            that part, to distill from, and no artifact; see `distillation/folds.py`. Empty: train on all texts.
        languages: the codes of the languages of the texts, several as `en+ko`. The model's results mark texts in any
            other language.
    """

    source: str = "goemotions"
    text_column: Annotated[str, Field(min_length=1)] = TEXT
    label_columns: str = ""
    limit: Annotated[Annotated[int, Field(ge=32)] | None, BeforeValidator(_parse_all)] = None
    fold: Annotated[str, AfterValidator(_check_fold)] = ""
    languages: Annotated[str, AfterValidator(_check_languages)] = "en"

    @property
    def language_codes(self) -> tuple[str, ...]:
        """The code of each language."""
        return tuple(self.languages.split("+"))

    @property
    def columns(self) -> Columns:
        """The columns of a file."""
        return Columns.parse(self.text_column, self.label_columns)


class AugmentationSection(Section):
    """Changes to the training texts, drawn again for every epoch.

    Attributes:
        emoji: share of the texts that get an emoji or emoticon, with targets that follow from what it says. Above 0,
            emoji become tokens of their own, if the encoder's vocabulary is that of uncased BERT.
        typos: share of the texts in which one word is misspelled.
    """

    emoji: Share = 0.0
    typos: Share = 0.0


class EncoderSection(Section):
    """The pretrained encoder, and how it reads the training texts.

    Attributes:
        name: `minilm`, `bge-small`, a local folder, or a hub id; to distill from, also `mpnet`. The folder of an
            artifact stands for its encoder.
        max_tokens: the model's window, special tokens included.
        dropout: inside the encoder, as in its pre-training.
        token_masking: share of the tokens that are replaced by the mask token in training, drawn again for every batch.
            43,000 texts are few, and a model that cannot rely on any single word overfits later.
        trainable_layers: train only this many of the last layers; earlier layers and embeddings are frozen. None: all.
        cache_frozen: run the frozen layers once per text, before training, instead of once per batch. The frozen layers
            then have no dropout, and token_masking must be 0.
    """

    name: str = "minilm"
    max_tokens: Annotated[int, Field(ge=3)] = 128
    dropout: Share = 0.1
    token_masking: Share = 0.1
    trainable_layers: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_parse_all)] = None
    cache_frozen: bool = False

    @model_validator(mode="after")
    def _check_cache(self) -> Self:
        if self.cache_frozen and (self.trainable_layers is None or self.token_masking):
            raise PydanticCustomError(
                "cache_frozen", "cache_frozen = true: it needs a number of trainable_layers, and token_masking = 0"
            )
        return self


class HeadSection(Section):
    """The layers on top of the encoder.

    Attributes:
        kernel_sizes: widths of the convolution's kernels in tokens, odd; several as `3+5+7`, which share the channels
            evenly (Kim 2014, arXiv:1408.5882). All exported kernels have the widest size; zeros fill the narrower ones.
        dropout: before the classifier.
        attention_heads: heads of an attention layer in the head; 0 for none.
        continued: `encoder.name` is the folder of an artifact with the same labels: continue with its head too, instead
            of an untrained one.
    """

    kernel_sizes: Annotated[str, AfterValidator(_check_kernel_sizes)] = "5"
    dropout: Share = 0.3
    attention_heads: Annotated[int, Field(ge=0)] = 0
    continued: bool = False


class LossSection(Section):
    """The loss. The formulas are in `loop/loss.py`.

    Attributes:
        kind: `bce` or `asymmetric`.
        asymmetric_gamma_positive: exponent that reduces the loss of easy decisions, for labels that a text has.
        asymmetric_gamma_negative: the same exponent for labels that the text does not have.
        asymmetric_clip: amount that is subtracted from the probability of each label that the text does not have.
        class_balanced: beta of the label weights, which depend on how often a label occurs; 0 gives equal weights.
    """

    kind: Literal["bce", "asymmetric"] = "bce"
    asymmetric_gamma_positive: Exponent = 0.0
    asymmetric_gamma_negative: Exponent = 4.0
    asymmetric_clip: Share = 0.05
    class_balanced: Share = 0.0


class ScheduleSection(Section):
    """Batches, learning rates and averaged weights.

    Attributes:
        epochs: passes over the training texts.
        batch_size: texts per batch.
        learning_rate: of the encoder's last layer.
        head_learning_rate: of convolution and classifier, which start untrained if `head.continued` is not set.
        layer_decay: each layer's rate is the rate of the layer above it times this (Howard and Ruder 2018); 1 gives
            all layers the same rate.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all batches over which the rate rises.
        per_epoch_cosine: the rate falls once an epoch, as in the reference recipe; otherwise after every batch.
        ema: decay per batch of the averaged weights that are evaluated and exported; 0 uses the weights themselves.
    """

    epochs: Whole = 5
    batch_size: Whole = 32
    learning_rate: Rate = 1.5e-4
    head_learning_rate: Rate = 1e-3
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.85
    weight_decay: Exponent = 0.01
    warmup: Share = 0.05
    per_epoch_cosine: bool = False
    ema: Share = 0.999


class DistillationSection(Section):
    """Soft labels from other models.

    Attributes:
        teacher: a file that `emotag-train distill` wrote. Empty: train on the annotators' labels alone.
        share: weight of the teacher's probabilities in the targets; the rest is the annotators' labels.
    """

    teacher: str = ""
    share: Annotated[float, Field(ge=0, le=1)] = 0.7


class RunSection(Section):
    """The run itself, and the artifact that it writes.

    Attributes:
        name: of the model; the name of the out folder if empty.
        license: of the model, for its card, as a hub writes it: `mit`, `cc-by-4.0`. Empty: the card names a
            licence only if the licences of the data and of the encoder are known.
        seed: of everything that is random.
        best_of_seeds: how many seeds were compared by mean average precision on dev, if this seed was the best. It
            changes nothing in the run: the card reports it.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        precision: of the forward and backward pass (weights stay fp32); `auto` measures which one is faster.
        calibrate: fit Platt scaling on dev and fold it into the last layer, before thresholds are chosen.
        threshold: `f1` tunes one threshold per label on dev; `precision@p` takes the smallest threshold of each label
            at which dev shows that precision; `fixed:t` uses t for all labels.
    """

    name: str = ""
    license: Annotated[str, Field(pattern=r"^[a-z0-9.-]*$")] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    best_of_seeds: Whole = 1
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    calibrate: bool = False
    threshold: Annotated[str, AfterValidator(_check_policy)] = "f1"


class Recipe(Section):
    """One way of training; `preset` is the name of the preset that the other keys started from."""

    preset: str = "default"
    data: DataSection = DataSection()
    augmentation: AugmentationSection = AugmentationSection()
    encoder: EncoderSection = EncoderSection()
    head: HeadSection = HeadSection()
    loss: LossSection = LossSection()
    schedule: ScheduleSection = ScheduleSection()
    distillation: DistillationSection = DistillationSection()
    run: RunSection = RunSection()

    def flatten(self) -> dict[str, Any]:
        """Return every value by its dotted key, such as `schedule.learning_rate`."""
        flat: dict[str, Any] = {}
        for name, value in self.model_dump().items():
            if isinstance(value, dict):
                flat |= {f"{name}.{key}": inner for key, inner in value.items()}
            else:
                flat[name] = value
        return flat

    def toml(self) -> str:
        """Return the recipe as a TOML file with every key."""
        lines, section = [f"# emotag-train fit --config {FILE}"], ""
        for dotted, value in self.flatten().items():
            table, _, key = dotted.rpartition(".")
            if table != section:
                lines += ["", f"[{table}]"]
                section = table
            lines.append(f"{key} = {_format_toml_value(value)}")
        return "\n".join([*lines, ""])


def _format_toml_value(value: object) -> str:
    """Return a text, number or boolean as TOML writes it: as JSON does, except for one control character."""
    text = json.dumps(ALL if value is None else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
