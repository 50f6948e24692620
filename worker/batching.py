"""How many records the next step takes on: as many as the latency objective allows, of those that are there.

The device never waits for a step to fill. While it is at step N, step N+1 is whatever has arrived by then; only under
load is that more than a step should hold, and then this budget decides. Within a step texts are sorted by length for
the device and put back in order behind it; since a step is committed whole, none can be overtaken for longer than a
step lasts.
"""

STEPS_IN_FLIGHT = 2
"""A record polled just now waits for the step that the device is at, then for its own."""

LEAST_RECORDS = 8
"""A step takes on at least so many, whatever the objective: below, a transaction costs more than what is in it."""

WEIGHT = 0.3
"""How much a full step's measurement counts against all before it."""


class StepBudget:
    """Records of a step, from what the last ones cost.

    Args:
        objective_s: longest time from a record's poll to its commit, under load.
        most: upper bound, whatever the objective.
        record_s: what a record costs, to begin with: a new text's time on the device.
    """

    def __init__(self, *, objective_s: float, most: int, record_s: float) -> None:
        self._objective_s = objective_s
        self._most = most
        self._record_s = record_s
        self._new_s = record_s
        self._write_s = 0.0

    def records(self) -> int:
        """How many records the next step may take on."""
        step_s = self._objective_s / STEPS_IN_FLIGHT - self._write_s
        return max(min(LEAST_RECORDS, self._most), min(self._most, int(step_s / self._record_s)))

    def new_texts(self) -> int:
        """How many texts that no cache knows one step may take on; what is beyond them is left for the next.

        Twice what the objective allows, so that it only binds where repeats turn into new texts from one step to the
        next: the cache is gone, or the input has changed.
        """
        step_s = self._objective_s / STEPS_IN_FLIGHT - self._write_s
        return max(LEAST_RECORDS, int(2 * step_s / self._new_s))

    def learn(self, *, records: int, new: int, device_s: float, host_s: float, write_s: float) -> None:
        """Take a finished step into account.

        Args:
            new: texts of it that the device was given.
            device_s, host_s: what the device and the pipeline's own thread spent on it; they work side by side, so the
                slower one decides.
            write_s: its transaction, which takes about the same whatever is in it.
        """
        # A step of few records says more about what a step costs than about what a record does.
        weight = WEIGHT * min(1.0, records / self.records())
        record_s = max(device_s, host_s) / records
        self._record_s += weight * (max(record_s, 1e-7) - self._record_s)
        if new:
            weight = WEIGHT * min(1.0, new / self.new_texts())
            self._new_s += weight * (max(device_s / new, 1e-7) - self._new_s)
        self._write_s += WEIGHT * (write_s - self._write_s)
