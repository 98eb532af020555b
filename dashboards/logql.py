"""LogQL selectors of a system's log lines."""

# In either case: `level` is structured metadata.
AT_ERROR = 'level=~"(?i)error|critical"'


def lines(system: str) -> str:
    """Every line of a system: `system` is a stream label."""
    return f'{{system="{system}"}}'


def errors(system: str) -> str:
    """Lines of a system at level error or critical."""
    return f"{lines(system)} | {AT_ERROR}"


def service(name: str) -> str:
    """Every line of a service."""
    return f'{{service_name="{name}"}}'
