"""Pictures of results: the only place that imports matplotlib, when one is asked for."""
