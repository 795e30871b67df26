"""Options as they are typed: which are words, which values they have, and in which order they count."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from command_line.arguments.config_names import SUFFIXES

_WITHOUT_VALUE = {"-h", "--help", "--print_config", "--trusted_only"}
CONFIG = ("--config", "-c")
STARTING_TRAININGS = ("doubts", "repeat", "sweep")
REFUSED = {  # by commands that begin no run, or name theirs themselves; a search writes its experiment into best.yaml
    **dict.fromkeys(("check", "preview", "convert", "repeat", "doubts"), ("name", "experiment", "logs")),
    "sweep": ("name", "logs"),
}


def split_words(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate words from options and their values.

    Args:
        arguments: What follows a command.

    Returns:
        The words, and all else in the same order. What follows ``--`` are words.
    """
    words: list[str] = []
    options: list[str] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if argument == "--":
            words += arguments[position:]
            break
        if not argument.startswith("-") or argument == "-":
            words.append(argument)
            continue
        options.append(argument)
        if "=" not in argument and argument not in _WITHOUT_VALUE and has_value(arguments, position - 1):
            options.append(arguments[position])
            position += 1
    return words, options


def has_value(arguments: Sequence[str], position: int) -> bool:
    """Check whether an option is followed by its value: two dashes begin the next option, one a negative number.

    Args:
        arguments: What was typed.
        position: Where the option stands in it.

    Returns:
        Whether it is; where it isn't, the parser says that the option expects one.
    """
    return position + 1 < len(arguments) and not arguments[position + 1].startswith("--")


def value_of(options: Sequence[str], *names: str) -> str | None:
    """Read the value of an option.

    Args:
        options: Options and their values.
        *names: The option's names, with dashes.

    Returns:
        The value that was typed last; None if the option wasn't.
    """
    return next(iter(reversed([*values_of(options, *names)])), None)


def values_of(options: Sequence[str], *names: str) -> Iterator[str | None]:
    """Read all values of an option that may be repeated.

    Args:
        options: Options and their values.
        *names: The option's names, with dashes.

    Yields:
        The values in the order in which they were typed; None for one that is missing.
    """
    for position, option in enumerate(options):
        name, equals, rest = option.partition("=")
        if name in names:
            yield rest if equals else options[position + 1] if has_value(options, position) else None


def without(options: Sequence[str], name: str) -> list[str]:
    """Leave an option out, and its value.

    Args:
        options: Options and their values.
        name: The option's name, with dashes.

    Returns:
        The others.
    """
    left: list[str] = []
    skip = False
    for position, option in enumerate(options):
        if not skip and option != name and not option.startswith(f"{name}="):
            left.append(option)
        skip = option == name and not skip and has_value(options, position)
    return left


def command_first(arguments: Sequence[str]) -> list[str]:
    """Put the command before options that were typed in front of it, where the parser would pass over them.

    Args:
        arguments: What follows ``train.py``.

    Returns:
        The same arguments; in the same order if a config in front of the command has a section for it.
    """
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        alone = "=" in arguments[place] or arguments[place] in _WITHOUT_VALUE or not has_value(arguments, place)
        place += 1 if alone else 2
    command, options = arguments[place : place + 1], arguments[:place]
    if command and any(_has_section(file, command[0]) for file in filter(None, values_of(options, *CONFIG))):
        return [*arguments]
    return [*command, *options, *arguments[place + 1 :]]


def _has_section(config: str, name: str) -> bool:
    try:
        lines = Path(config).read_bytes().splitlines()
    except (OSError, ValueError):  # what is wrong with it, the parser says; it may also be a config, as text
        lines = config.encode(errors="surrogateescape").splitlines()
    return any(line.startswith(f"{name}:".encode()) for line in lines)


def command_of(command: str, options: Sequence[str]) -> str:
    """Find which command is meant by one and its options.

    Args:
        command: What was typed.
        options: Options and their values.

    Returns:
        ``repeat`` for ``fit`` with several seeds or with folds; else the same command.
    """
    several = command == "fit" and any(option.partition("=")[0] in ("--seeds", "--folds") for option in options)
    return "repeat" if several else command


def gathered(options: Sequence[str], name: str) -> list[str]:
    """Write several values of an option as one list, as in ``--seeds 1 2 3``.

    Args:
        options: Options and their values.
        name: The option's name, with dashes.

    Returns:
        The same options, with ``--seeds=[1, 2, 3]``.
    """
    starts = [place for place, option in enumerate(options) if option.partition("=")[0] == name]
    if not starts:
        return [*options]
    place = starts[0]
    end = next((at for at in range(place + 1, len(options)) if options[at].startswith("-")), len(options))
    values = [*filter(None, [options[place].partition("=")[2]]), *options[place + 1 : end]]
    if len(values) == 1 and values[0].startswith("["):
        return [*options]
    return [*options[:place], f"{name}=[{', '.join(values)}]", *options[end:]]


def files_first(arguments: Sequence[str]) -> list[str]:
    """Put options that name config files before all others, since of two values the parser takes the last.

    What is typed then counts more than what stands in a file, wherever it was typed. Files keep their order, and so
    do the other options.

    Args:
        arguments: Options and their values, perhaps words among them.

    Returns:
        The same arguments.
    """
    files: list[str] = []
    others: list[str] = []
    position = 0
    while position < len(arguments):
        pair = [arguments[position]]
        name, equals, value = pair[0].partition("=")
        if pair[0] == "--":
            return [*files, *others, *arguments[position:]]
        if name.startswith("-") and not equals and name not in _WITHOUT_VALUE and has_value(arguments, position):
            value = arguments[position + 1]
            pair = [*pair, value]
        position += len(pair)
        (files if value and _names_file(name, value) else others).extend(pair)
    return [*files, *others]


def _names_file(option: str, value: str) -> bool:
    """Recognise ``--config FILE``, and a file for a whole section, as in ``--trainer FILE``."""
    if option in CONFIG:
        return True
    return option.startswith("--") and "." not in option and value.endswith(SUFFIXES) and Path(value).is_file()
