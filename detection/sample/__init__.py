"""The sample model: a small detector for the demo and the tests, trained on the synthetic street alone."""
