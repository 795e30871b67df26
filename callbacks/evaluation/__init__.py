"""What evaluations write: scores, answers, matrices and the report."""
