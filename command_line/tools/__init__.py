"""Commands that work with runs and need neither trainer nor data."""
