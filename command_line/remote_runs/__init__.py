"""Runs in object storage, of which copies lie on this machine while commands work on them."""
