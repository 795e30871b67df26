"""Parts of ``benchmarks.devices``: a cable between two machines, a meter, and a model of what exchanges cost."""
