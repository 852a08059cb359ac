"""A synthetic street: a small traffic simulator drawn with OpenCV, with exact ground truth and scripted incidents.

It is the demo's cameras, the tests' truth and the load generator. What it knows never reaches detector, prompt or
simulator.
"""

from cameras.street.scenes import SCENES
from cameras.street.street import Street, UnknownScene
from cameras.street.truth import Incident, ScriptedIncident, TrueObject

__all__ = ["SCENES", "Incident", "ScriptedIncident", "Street", "TrueObject", "UnknownScene"]
