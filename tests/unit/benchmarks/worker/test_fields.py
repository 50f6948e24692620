"""Each measured step does its work, and the table has the share of all steps with an interval."""

import pytest

from benchmarks.measurements import Measurements
from benchmarks.worker import fields
from emotag_model.tagger import EmotionTagger

TEXTS = ["I h4te y0u", "Te odio, eres lo peor", "thanks!"]


def test_each_step_costs_time_and_leaves_the_tagger_as_it_was() -> None:
    tagger = EmotionTagger.load(engine="openvino", precision="fp32")
    before = tagger.tokenize(TEXTS)
    steps = fields.list_steps(tagger)
    texts = [f"{text} {number}" for number in range(fields.BATCH // 2) for text in TEXTS]
    seconds = fields.time_steps(steps, texts)
    assert {fields.SCOPE, fields.SPELLING, fields.ENCODING, fields.ALL} == seconds.keys()
    assert min(seconds.values()) > 0
    assert seconds[fields.ALL] == pytest.approx(sum(seconds[name] for name in steps))
    assert before == tagger.tokenize(TEXTS)


def test_the_share_is_of_the_same_round_and_has_an_interval() -> None:
    spent, rates = Measurements("fields", "µs/text"), Measurements("fields", "messages/s")
    for number, speed in enumerate((1.0, 2.0, 4.0)):
        spent.add(fields.ALL, number, 20 * speed)
        spent.add(fields.WHOLE, number, 1000 * speed)
        rates.add(fields.WHOLE + fields.RATE, number, 100.0 / speed)
        rates.add(fields.CONSTANT + fields.RATE, number, 103.0 / speed)
    report = fields.report(spent, rates, note="seven rounds")
    share, throughput = report.goals
    assert (2.0, 2.0, 2.0, "met") == (share.measured, share.low, share.high, share.verdict)
    assert throughput.measured == pytest.approx(100 * 3 / 103)
    assert "met" == throughput.verdict
    ratios = {row.name: row.ratio for row in report.rows}
    assert pytest.approx(1.03) == ratios[fields.CONSTANT + fields.RATE]
