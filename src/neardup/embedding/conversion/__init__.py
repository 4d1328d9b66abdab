"""A model in the form that TensorRT runs: made, verified against the reference, and only then usable as an engine."""
