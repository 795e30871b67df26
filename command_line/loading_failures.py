"""What to say where a loading process is killed, for which PyTorch raises a RuntimeError wherever training is."""

import re

_KILLED = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is killed by signal: ([^.]+)|exited unexpectedly)"
)


def loading_failure(error: RuntimeError) -> str | None:
    """Name the cause.

    Args:
        error: What was raised.

    Returns:
        A sentence on the cause and what to do; None for any other error.
    """
    found = _KILLED.search(str(error))
    if found is None:
        return None
    by = f" by the signal {found[2].strip()}" if found[2] else ""
    return (
        f"A loading process ({found[1]}) was ended{by}, as where memory is short: lower data.num_workers or "
        "data.batch_size. A training continues with --ckpt_path last."
    )
