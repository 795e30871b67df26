"""Trainings that a command starts, each in a process of its own."""
