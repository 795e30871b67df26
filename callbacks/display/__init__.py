"""What shows a training while it runs, on the terminal and in TensorBoard."""
