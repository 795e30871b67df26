"""What was typed: words, options, paths and configs, put together into the request of a command."""
