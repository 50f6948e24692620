"""How the threads of a forward pass wait for one another, the same for everybody.

By default they spin for milliseconds. Where anything else wants a core, the one that spins keeps its partner from
running, and a pass takes up to ten times as long; whether that happens hangs on which thread of a program calls the
model. It would be measured instead of the streams.
"""

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""For the environment of every process that tags."""
