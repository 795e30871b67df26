"""The templates of the pages, which share a style."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template


def template(name: str) -> Template:
    """Load a template; what it is given is escaped.

    Args:
        name: ``page.html``, ``comparison.html`` and so on.

    Returns:
        The template.
    """
    return Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True).get_template(name)
