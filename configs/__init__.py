"""Experiments, a YAML file each, and the parser that reads them."""
