"""The service's settings in the suite's environment."""

from tests.environment import prepare_environment

prepare_environment()

from trafficmon.settings import *  # noqa: E402, F403  # the environment comes first

PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
