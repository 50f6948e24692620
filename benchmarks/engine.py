"""The engine alone: texts or tokens to probabilities, by every way there is to run the same weights."""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model import artifact
from model.artifact import Artifact
from model.tagger import EmotionTagger
from training.evaluate import probabilities as reference_probabilities

from . import ceiling, machine, ours, ours_from_texts, rounds, texts
from .competitor import Competitor, Sample, Unable
from .quality import Quality, judge
from .results import Budget, Goal, Report, Row
from .rivals import MODULES, Probabilities, original
from .rounds import Rates, median_ratio
from .texts import Texts
