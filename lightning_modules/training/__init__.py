"""What trains: the loss, the optimizer and its schedule, layers that can be frozen, and a teacher."""
