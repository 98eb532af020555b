"""The SQLite exporter on the file of the application: `python -m workloads.tdd_project.exporter --listen http=H:P`.

`--data` is the application's directory.
"""

from instrument import sqlite
from workloads.arguments import parse
from workloads.tdd_project.store import FILE

# Below the scrape interval: each scrape tells what the file is like now.
KEEP = 10


def main() -> None:
    asked = parse("workloads.tdd_project.exporter")
    address = asked.listen["http"]
    host = f"[{address.host}]" if ":" in address.host else address.host
    arguments = ["--listen", f"{host}:{address.port}", "--database", str(asked.data / FILE), "--keep", str(KEEP)]
    if asked.log_file:
        arguments += ["--log-file", str(asked.log_file)]
    sqlite.main(arguments)


if __name__ == "__main__":
    main()
