"""Fills the pages that are generated: options from the schema, and files that lie elsewhere in the project."""

import json
from pathlib import Path
from typing import Any

from command_line.help.option_help import SCHEMA, type_text

_ROOT = Path(__file__).parent.parent
_INCLUDED = {"index.md": "README.md", "benchmarks.md": "benchmarks/RESULTS.md", "contributing.md": "CONTRIBUTING.md"}
_INCLUDED_AS = {f"(../{file}": f"({page}" for page, file in _INCLUDED.items()}
_MOVED = {
    "(docs/figures/": "(figures/",
    "(../docs/figures/": "(figures/",
    "(docs/": "(",
    "(CONTRIBUTING.md)": "(contributing.md)",
    "[`benchmarks/RESULTS.md`](benchmarks/RESULTS.md)": "[Benchmarks](benchmarks.md)",
    "(benchmarks/RESULTS.md#": "(benchmarks.md#",
    "[Changes](CHANGELOG.md)": "Changes (`CHANGELOG.md`)",
    "[LICENSE](LICENSE)": "`LICENSE`",
    "[`main.ipynb`](main.ipynb)": "`main.ipynb`",
    "(configs/recipes/efficientnet_lite0_128px.yaml)": "(recipes.md)",
    "(configs/recipes/efficientnet_lite0_160px.yaml)": "(recipes.md)",
}
_TITLES = {
    "": ("Run", "Names, folders and seeds."),
    "data": ("Data", "Arguments of the data module, in a config below `data.init_args`."),
    "model": ("Network and optimizer", ""),
    "trainer": ("Trainer", "Lightning's `Trainer`."),
}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Complete a page before it is rendered.

    Args:
        markdown: Its text.
        page: The page.
        **_: What else MkDocs knows.

    Returns:
        The whole text.
    """
    name = page.file.src_uri
    for written, here in _INCLUDED_AS.items():
        markdown = markdown.replace(written, here)
    if name == "options.md":
        return markdown + _options()
    if name not in _INCLUDED:
        return markdown
    text = (_ROOT / _INCLUDED[name]).read_text(encoding="utf-8")
    for written, here in _MOVED.items():
        text = text.replace(written, here)
    return markdown + text.replace("# Results\n", "", 1) if name == "benchmarks.md" else text


def _options() -> str:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    sections: dict[str, dict[str, Any]] = {"": {}, "data": schema["$defs"]["data"]["properties"]}
    for name, value in schema["properties"].items():
        if name != "data":
            if "properties" in value:
                sections[name] = value["properties"]
            else:
                sections[""][name] = value
    first = [name for name in _TITLES if name in sections]
    return "\n".join(_table(name, sections[name]) for name in [*first, *(n for n in sections if n not in _TITLES)])


def _table(section: str, options: dict[str, Any]) -> str:
    title, text = _TITLES.get(section, (f"`{section}`", ""))
    lines = [f"## {title}", "", text, "", "| option | type | default | meaning |", "|---|---|---|---|"]
    for name, option in options.items():
        full = f"{section}.{name}".lstrip(".")
        default = f"`{json.dumps(option['default'])}`" if "default" in option else ""
        meaning = option.get("description", "").replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{full}` | {type_text(option)} | {default} | {meaning} |")
    return "\n".join([*lines, ""])
