"""Whether a component of the platform runs with the configuration it was given, in the same panel for each."""

from dashboards.board import GREEN, RED, Panel, Query, Thresholds
from dashboards.links import runbook
from dashboards.panels import stat, value_text


def configuration(component: str, selector: str, alert: str) -> Panel:
    """The last reload of each instance that the selector finds; `alert` is the one that tells of a refused reload."""
    return stat(
        "Configuration in force",
        Query(expr=f"min({component}_config_last_reload_successful{{{selector}}})", legend="reload"),
        unit="bool",
        description="Whether the last reload of the configuration was taken.",
        thresholds=Thresholds(critical=1, below=True),
        mappings=value_text({1: ("yes", GREEN), 0: ("refused", RED)}),
        links=(runbook(alert),),
    )
