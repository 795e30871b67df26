"""Tables, figures and pages that describe a run."""
