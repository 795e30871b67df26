"""The local page on which photographs can be tried: Starlette, since it needs no more than one page and one address."""
