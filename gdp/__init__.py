"""The parts of the suite, by subject. Imports point downwards, to the model and utils."""

__version__ = "1.0.0"
