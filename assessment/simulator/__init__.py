"""A stand-in for DashScope: its native protocol over HTTP and the OpenAI-compatible one, answers made up from the boxes
in the prompt, failures on demand.

It knows nothing but the HTTP requests it gets. `python -m assessment.simulator --port 8900` runs it by itself;
`running_simulator()` runs it inside a test. How well it judges says nothing about any model.
"""

from __future__ import annotations

from assessment.simulator.faults import Fault, FaultKind, Latency
from assessment.simulator.limits import Growth
from assessment.simulator.running import RunningSimulator, running_simulator
from assessment.simulator.server import SimulatorOptions

__all__ = ["Fault", "FaultKind", "Growth", "Latency", "RunningSimulator", "SimulatorOptions", "running_simulator"]
