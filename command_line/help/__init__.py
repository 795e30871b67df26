"""Help, completion and the schema of configs; what ``--help`` prints is stored as text beside the code."""
