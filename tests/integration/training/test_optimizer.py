"""The parameters that train, and their learning rates."""

from pathlib import Path

from emotag_training.encoders.pretrained import load_encoder
from emotag_training.loop.optimizer import group_parameters
from emotag_training.presets import PRESETS
from emotag_training.recipe import EncoderSection, ScheduleSection


def test_the_reference_recipe_trains_its_last_three_layers_at_one_rate(folder: Path) -> None:
    """Embeddings and earlier layers are frozen; here one layer of two."""
    reference = PRESETS["reference"]
    assert (7e-5, 7e-5, 3, 5, 0.42) == (
        reference.schedule.learning_rate,
        reference.schedule.head_learning_rate,
        reference.encoder.trainable_layers,
        reference.schedule.epochs,
        reference.head.dropout,
    )
    model = load_encoder(str(folder / "encoder")).grow(labels=("a",), max_tokens=16)
    groups = group_parameters(
        model, EncoderSection(trainable_layers=1), ScheduleSection(layer_decay=1.0, head_learning_rate=1.5e-4)
    )
    assert {1.5e-4} == {group["lr"] for group in groups}
    learning = {name.split(".")[2] for name, p in model.named_parameters() if p.requires_grad and "encoder" in name}
    assert {"layer"} == learning
    assert not any(p.requires_grad for p in model.encoder.embeddings.parameters())


def test_rates_fall_from_layer_to_layer(folder: Path) -> None:
    model = load_encoder(str(folder / "encoder")).grow(labels=("a",), max_tokens=16)
    schedule = ScheduleSection(learning_rate=1.0, layer_decay=0.5)
    rates = sorted({group["lr"] for group in group_parameters(model, EncoderSection(), schedule)})
    assert [1e-3, 0.25, 0.5, 1.0] == rates
