"""Networks: built by name, filled with weights, divided into groups of layers."""
