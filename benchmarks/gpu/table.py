"""The engine on a GPU and the host's side of the stream: the shipped model, and one with DistilBERT's dimensions."""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import machine
from benchmarks import texts as texts_
from benchmarks.engine import roofline
from benchmarks.engine.work import count_work
from benchmarks.results import Results, Row
from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.device import count_usable_cores
from emotag_model.engines.torch_engine import DTYPES
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds, pad

from . import goals, host

TABLE = "gpu"
SHORT_TOKENS = goals.SHORT_TOKENS
MOST_TEXTS = 131_072
BATCHES = (256, 8_192)
"""Records per batch: a small batch, and one that keeps a GPU busy."""
COMPETITOR_BATCHES = (64, 256, 1_024)


class NoDevice(Exception):
    """The requested device is not there."""


def measure(device: str, *, quick: bool) -> Results:
    """Measure both models on *device*, with short texts and with real ones, and the worker's host side.

    Raises:
        NoDevice: torch does not find *device*.
    """
    seconds = 0.05 if quick else 1.5
    on_gpu = device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        raise NoDevice(
            f"cannot use --device {device}: torch finds no CUDA device. Run it on a machine with a GPU, "
            "or try it on the CPU: python -m benchmarks.gpu --device cpu --quick"
        )
    if not on_gpu:
        torch.set_num_threads(count_usable_cores())
    texts = texts_.read_texts()[0][: 64 if quick else None]
    models = _load_models(device, precision="auto" if on_gpu else "fp32", quick=quick)
    rooflines = _measure_rooflines(device, on_gpu=on_gpu, seconds=seconds / 3, quick=quick)
    rows = [*rooflines.values()]
    for name, (tagger, trained) in models.items():
        rows += _measure_model(
            name, tagger, trained, texts, rooflines["bf16" if on_gpu else "fp32"], seconds=seconds, quick=quick
        )
    missing = []
    for name, (tagger, _) in models.items():
        _log(f"{name}, host …")
        try:
            rows += _measure_host(name, tagger, texts, quick=quick)
        except ImportError as error:
            missing.append(f"the host's side of the stream: {error}")
            break
    described = {**machine.describe(), "device": torch.cuda.get_device_name(device) if on_gpu else "cpu"}
    command = f"python -m benchmarks.gpu --device {device}{' --quick' * quick}"
    return Results(described, command, rows, goals.compute_goals(rows) if on_gpu else [], missing)


def _load_models(device: str, *, precision: str, quick: bool) -> dict[str, tuple[EmotionTagger, Artifact]]:
    """Return the shipped model and the one of DistilBERT's size, by their names in the rows."""
    shipped = artifact.load(artifact.DEFAULT)
    large = _make_full_size(shipped, layers=1 if quick else 6)
    with tempfile.TemporaryDirectory() as folder:
        artifact.save(large, Path(folder), card="Random weights, to measure speed.\n")
        return {
            "emotag-mini": (EmotionTagger.load(on=device, engine="torch", precision=precision), shipped),
            "one layer" if quick else goals.LARGE: (
                EmotionTagger.load(folder, on=device, engine="torch", precision=precision),
                large,
            ),
        }


def _measure_model(
    name: str,
    tagger: EmotionTagger,
    trained: Artifact,
    texts: Sequence[str],
    roofline_row: Row,
    *,
    seconds: float,
    quick: bool,
) -> list[Row]:
    """Measure the engine and transformers with short texts and with real ones, and the forward alone."""
    rows = []
    short = _make_short_texts(trained.config, 64 if quick else 8_192)
    for kind, tokens in ((goals.SHORT, short), ("real lengths", tagger.tokenize(texts))):
        of = f"{name}, {kind}"
        _log(f"{of} …")
        rows += _measure_engine(of, tagger, trained.config, tokens, roofline_row, seconds=seconds, quick=quick)
        rows.append(_measure_transformers(of, trained, tagger, tokens, rows[-3], quick=quick))
    of = f"{name}, {goals.SHORT}, forward alone"
    return [*rows, _measure_forward(of, trained, tagger, short, roofline_row, quick=quick)]


def _measure_rooflines(device: str, *, on_gpu: bool, seconds: float, quick: bool) -> dict[str, Row]:
    """Return the rate of matrix multiplication by precision."""
    rooflines = {}
    for precision in ("bf16", "fp16") if on_gpu else ("fp32",):
        sizes = (roofline.GPU_SIZES if on_gpu else roofline.SIZES)[: 1 if quick else None]
        rates = [
            roofline.measure_matmul_rate(precision, device=device, seconds=seconds, sizes=sizes) / 1e12
            for _ in range(3)
        ]
        name = f"matrix multiplication alone, {precision}"
        rooflines[precision] = Row(TABLE, name, statistics.median(rates), "TFLOP/s", min(rates), max(rates))
    return rooflines


def _measure_engine(
    name: str,
    tagger: EmotionTagger,
    config: ModelConfig,
    tokens: Sequence[TokenIds],
    roofline_row: Row,
    *,
    seconds: float,
    quick: bool,
) -> list[Row]:
    """Return texts, tokens and operations per second of the tagger, padding and copying included."""
    some = list(tokens[:4] if quick else tokens)
    tagger.probabilities(some)  # compiles kernels, reserves memory
    began = time.perf_counter()
    tagger.probabilities(some)
    taken_s = time.perf_counter() - began
    some = (some * max(1, min(int(seconds / taken_s), MOST_TEXTS // len(some))))[:MOST_TEXTS]
    lengths = [len(text.ids) for text in some]
    rates = []
    for _ in range(2 if quick else 5):
        began = time.perf_counter()
        tagger.probabilities(some)
        rates.append(len(some) / (time.perf_counter() - began))
    median, low, high = statistics.median(rates), min(rates), max(rates)
    per_text, flops = sum(lengths) / len(lengths), count_work(config, lengths).flops / len(lengths) / 1e12
    achieved = median * flops
    note = f"{tagger.precision}, {per_text:.1f} tokens per text"
    return [
        Row(TABLE, name, median, "texts/s", low, high, note=note),
        Row(TABLE, name, median * per_text, "tokens/s", low * per_text, high * per_text),
        Row(
            TABLE,
            name,
            achieved,
            "TFLOP/s",
            low * flops,
            high * flops,
            achieved / roofline_row.value,
            roofline_row.name,
        ),
    ]


@torch.inference_mode()
def _measure_transformers(
    name: str, trained: Artifact, tagger: EmotionTagger, tokens: Sequence[TokenIds], ours: Row, *, quick: bool
) -> Row:
    """Measure the competitor: transformers' DistilBERT, sorted by length, each batch padded to its longest text.

    It has the same precision and token ids, and the fastest of three batch sizes.
    """
    from transformers import DistilBertConfig, DistilBertModel

    config, device, dtype = trained.config, tagger.device, DTYPES[tagger.precision]
    shape = {
        key: getattr(config, key) for key in ("vocab_size", "max_position_embeddings", "dim", "n_layers", "n_heads")
    }
    encoder: torch.nn.Module = DistilBertModel(DistilBertConfig(**shape, hidden_dim=config.hidden_dim))
    encoder.to(device, dtype).eval()
    model = DistilBertCNN.of(config, trained.weights).to(device, dtype)
    some = sorted((text.ids for text in (tokens[:8] if quick else list(tokens) * 4)), key=len)

    def rate(batch: int) -> float:
        began, launched = time.perf_counter(), []
        for start in range(0, len(some), batch):
            ids_BL, mask_BL = (
                torch.from_numpy(x).to(device) for x in pad(some[start : start + batch], pad_id=config.pad_token_id)
            )
            hidden_BLC = encoder(ids_BL, attention_mask=mask_BL).last_hidden_state
            launched.append(torch.sigmoid(model.head(hidden_BLC, mask_BL)))
        for probabilities_BK in launched:
            probabilities_BK.cpu()
        return len(some) / (time.perf_counter() - began)

    best = max(COMPETITOR_BATCHES[: 1 if quick else None], key=lambda batch: max(rate(batch) for _ in range(2)))
    rates = [rate(best) for _ in range(2 if quick else 5)]
    median = statistics.median(rates)
    note = f"{tagger.precision}, batches of {best}"
    return Row(
        TABLE,
        f"{name}, by transformers",
        median,
        "texts/s",
        min(rates),
        max(rates),
        median / ours.value,
        ours.name,
        note,
    )


def _measure_host(name: str, tagger: EmotionTagger, texts: Sequence[str], *, quick: bool) -> list[Row]:
    """Measure the worker without a broker, in small and in large batches."""
    rows = []
    for batch in BATCHES[:1] if quick or tagger.device == "cpu" else BATCHES:
        some = texts[:8] if quick else (list(texts) * (1 + batch * 4 // len(texts)))[: batch * 4]
        rows += host.measure(tagger, some, batch=min(batch, max(4, len(some) // 4)), repeats=2 if quick else 5)
    return [Row(row.table, f"{name}: {row.name}", row.value, row.unit, row.low, row.high) for row in rows]


@torch.inference_mode()
def _measure_forward(
    name: str, trained: Artifact, tagger: EmotionTagger, tokens: Sequence[TokenIds], roofline_row: Row, *, quick: bool
) -> Row:
    """Measure the reference forward with its batch already on the device: the device's part of the engine's time."""
    some = tokens[: 4 if quick else 3_072]
    ids_BL = torch.tensor([text.ids for text in some], device=tagger.device)
    mask_BL = torch.ones_like(ids_BL, dtype=torch.bool)
    model = DistilBertCNN.of(trained.config, trained.weights).to(tagger.device, DTYPES[tagger.precision])
    model(ids_BL, mask_BL)
    repeats = 1 if quick else 20
    rates = []
    for _ in range(3):
        roofline.synchronize(tagger.device)
        began = time.perf_counter()
        for _ in range(repeats):
            model(ids_BL, mask_BL)
        roofline.synchronize(tagger.device)
        work = repeats * count_work(trained.config, [SHORT_TOKENS] * len(some)).flops / 1e12
        rates.append(work / (time.perf_counter() - began))
    median = statistics.median(rates)
    return Row(TABLE, name, median, "TFLOP/s", min(rates), max(rates), median / roofline_row.value, roofline_row.name)


def _make_full_size(shipped: Artifact, *, layers: int) -> Artifact:
    """Return a model with the dimensions of distilbert-base, random weights and realistic label rates.

    The number of emotions per text matters, because the worker writes them; which emotions does not.
    """
    shape = {**vars(shipped.config), "dim": 768, "n_layers": layers, "n_heads": 12, "hidden_dim": 3072}
    torch.manual_seed(0)
    model = DistilBertCNN(ModelConfig(**shape))
    assert shipped.reference_stats is not None
    rates_K = torch.tensor([shipped.reference_stats.label_rates[label] for label in shipped.config.labels])
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.logit(rates_K))
    return Artifact("distilbert-size", model.config, model.weights(), shipped.tokenizer, shipped.thresholds, {}, {})


def _make_short_texts(config: ModelConfig, count: int) -> list[TokenIds]:
    """Return different texts of SHORT_TOKENS tokens."""
    draw = random.Random(0)  # noqa: S311  (no secret)
    return [
        TokenIds((101, *(draw.randrange(1_000, config.vocab_size) for _ in range(SHORT_TOKENS - 2)), 102), False)
        for _ in range(count)
    ]


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
