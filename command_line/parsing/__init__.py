"""The parser: jsonargparse's, with one sentence for each mistake."""
