"""Loading batches: which samples form one, and in which processes and which memory."""
