"""Groups classes by make, body type and year, where their names say so, as ``Audi TT RS Coupe 2012`` does."""

import re

_YEAR = re.compile(r"(?:19|20)\d\d")
_MAKES = ("AM General", "Alfa Romeo", "Aston Martin", "Land Rover")  # those of two words
_BODIES = (
    "Cargo Van", "Crew Cab", "Club Cab", "Extended Cab", "Quad Cab", "Regular Cab", "Convertible", "Coupe",
    "Estate", "Fastback", "Hatchback", "Minivan", "Pickup", "Roadster", "Saloon", "Sedan", "SUV", "Van", "Wagon",
)  # fmt: skip
_SHARE = 0.8  # of the names that have to have this form


def class_groups(class_names: list[str]) -> dict[str, list[str]]:
    """Read make, body type and year from names of classes.

    Args:
        class_names: Names of the classes.

    Returns:
        By ``make``, ``body type`` and ``year`` what each class has, an empty text where its name doesn't say; nothing
        if most names have another form.
    """
    parsed = [_parse(name) for name in class_names]
    if sum(year != "" for _, _, year in parsed) < _SHARE * len(class_names):
        return {}
    columns = dict(zip(("make", "body type", "year"), map(list, zip(*parsed, strict=True)), strict=True))
    return {title: values for title, values in columns.items() if len(set(values)) > 1}


def _parse(name: str) -> tuple[str, str, str]:
    words = name.split()
    year = words.pop() if words and _YEAR.fullmatch(words[-1]) else ""
    rest = " ".join(words)
    make = next((make for make in _MAKES if rest.startswith(f"{make} ")), words[0] if words else "")
    body = next((body for body in _BODIES if rest.lower().endswith(f" {body.lower()}")), "")
    return make, body, year
