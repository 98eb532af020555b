"""LogQL selectors of a system's log lines."""


def lines(system: str) -> str:
    """Every line of a system: `system` is a stream label."""
    return f'{{system="{system}"}}'


def errors(system: str) -> str:
    """Lines at level error or critical, in either case: `level` is structured metadata."""
    return f'{lines(system)} | level=~"(?i)error|critical"'
