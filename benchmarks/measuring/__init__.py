"""What benchmarks share: sides measured in turns, clocks within runs, documented commands, results that are kept."""
