import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from publisher import SCRIPT, Publisher, publishing, tar, zipped

from toolchain import programs, versions
from toolchain.install import main
from toolchain.programs import Absent, Installed, ProgramMissing, cache, find, program
from toolchain.release import ReleaseFailed, published_checksum

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]

# Another process on the same table, modules and cache. A job of a shell without job control ignores SIGINT, and so
# would its children: this one takes it as in a terminal, wherever the tests run.
RUN = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from toolchain import build, install, programs, versions
versions._FILE, versions.GO = Path(sys.argv[1]), Path(sys.argv[2])
build.GO = programs.GO = versions.GO
sys.exit(install.main(["--only", *sys.argv[3:]]))
"""


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing() as made:
        yield made


@pytest.fixture
def table(publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's table in place of Watchstack's, an empty cache, and the stand-in for Go on PATH."""
    file, go = tmp_path / "versions.yaml", tmp_path / "go"
    file.write_text((DATA / "versions.yaml").read_text().replace("SERVER", publisher.address))
    (go / "greeter").mkdir(parents=True)
    (go / "greeter" / "go.mod").write_text("module example.invalid/toolchain\n")
    monkeypatch.setattr(versions, "_FILE", file)
    for module in ("versions", "programs", "build"):
        monkeypatch.setattr(f"toolchain.{module}.GO", go)
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(DATA / "fake-go"), prepend=":")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    versions.table.cache_clear()
    yield file
    versions.table.cache_clear()


@pytest.fixture
def packages(table: Path, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a distribution puts programs. `lodger` joins the table; its package is listed, and its program absent."""
    usr = tmp_path / "usr"
    usr.mkdir()
    text = (DATA / "packaged.yaml").read_text().replace("SERVER", publisher.address).replace("USR", str(usr))
    table.write_text(table.read_text() + text)
    versions.table.cache_clear()
    monkeypatch.setattr(programs, "_DPKG", DATA / "dpkg-status")
    return usr


def lodge(usr: Path) -> None:
    (usr / "distribution-lodger").write_bytes(b"#!/bin/sh\necho packaged\n")
    (usr / "distribution-lodger").chmod(0o755)


def start(table: Path, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(table), str(table.parent / "go"), *names],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def said(path: Path) -> str:
    return subprocess.run([path], capture_output=True, text=True, check=True).stdout.strip()


def reason(product: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Why the product could not be installed, as --json reports it."""
    main(["--only", product, "--json"])
    (found,) = json.loads(capsys.readouterr().out)
    return str(found["reason"])


@pytest.mark.usefixtures("table")
def test_a_release_is_installed_in_one_place() -> None:
    assert main(["--only", "greeter"]) == 0
    found = find("greeter")
    assert isinstance(found, Installed)
    assert (found.version, found.route, sorted(found.programs)) == ("1.2.0", "release", ["greeter", "waver"])
    assert said(program("waver")) == "released"
    assert sorted(path.name for path in found.directory.rglob("*")) == [
        "bin",
        "greeter",
        "manifest.json",
        "waver",
    ]
    assert list((cache() / "tools").iterdir()) == [found.directory]
    assert not (cache() / "unfinished").exists()


def test_a_product_on_demand_is_installed_only_by_name(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(table.read_text().replace("  greeter:\n", "  greeter:\n    on_demand: true\n"))
    versions.table.cache_clear()
    main(["--json"])
    assert "greeter" not in {each["product"] for each in json.loads(capsys.readouterr().out)}
    assert isinstance(find("greeter"), Absent)
    assert main(["--only", "greeter", "--json"]) == 0
    assert isinstance(find("greeter"), Installed)


@pytest.mark.usefixtures("table")
def test_a_product_kept_whole_keeps_the_files_around_its_program() -> None:
    assert main(["--only", "bundle"]) == 0
    found = find("bundle")
    assert isinstance(found, Installed)
    assert (found.directory / "conf" / "defaults.ini").read_bytes() == b"[server]"
    assert said(found.programs["bundle"]) == "released"


@pytest.mark.usefixtures("table")
def test_a_second_run_asks_nobody_and_says_where_everything_is(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    publisher.asked.clear()
    capsys.readouterr()
    assert main([]) == 0
    assert publisher.asked == []
    assert capsys.readouterr().out.startswith("2 of 2 products were there already, in ")


@pytest.mark.usefixtures("table")
def test_a_release_with_another_checksum_is_not_used(publisher: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    publisher.files["/bundle-2.0.0.zip"] += b"more"
    assert "bundle-2.0.0.zip has SHA-256" in reason("bundle", capsys)
    assert isinstance(find("bundle"), Absent)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("member", ["../outside", "bin/../../outside", "/outside"])
def test_an_archive_that_reaches_outside_its_folder_is_refused(
    member: str, publisher: Publisher, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = zipped({"bundle-2.0.0/bin/bundle": SCRIPT, member: SCRIPT})
    publisher.publish("bundle-2.0.0.zip", bundle, "bundle-2.0.0.zip.sha256")
    assert f"{member!r} is outside its folder" in reason("bundle", capsys)
    monkeypatch.setenv("FAKE_GO", "fail")
    publisher.publish_greeter({"greeter": SCRIPT, "waver": SCRIPT, member: SCRIPT})
    if member != "/outside":  # tarfile makes an absolute name relative, and what is inside the folder is fine
        assert "outside the destination" in reason("greeter", capsys)
    assert list(cache().rglob("outside")) == []


@pytest.mark.usefixtures("table")
def test_a_release_without_one_of_its_programs_is_not_used(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher.publish_greeter({"greeter/greeter": SCRIPT})
    assert main(["--only", "greeter"]) == 0
    assert "greeter-1.2.0.tar.gz holds no waver" in capsys.readouterr().out
    assert said(program("greeter")) == "built"


@pytest.mark.usefixtures("table")
def test_without_a_release_the_module_is_built(publisher: Publisher) -> None:
    del publisher.files["/sha256sums.txt"]
    assert main(["--only", "greeter"]) == 0
    found = find("greeter")
    assert isinstance(found, Installed)
    assert (found.version, found.route, said(found.programs["waver"])) == ("1.1.0", "build", "built")


@pytest.mark.usefixtures("table")
def test_when_both_routes_fail_both_are_named_and_the_others_are_installed(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del publisher.files["/sha256sums.txt"]
    monkeypatch.setenv("FAKE_GO", "fail")
    assert main([]) == 1
    printed = capsys.readouterr().out
    assert "greeter: could not be installed\n  release 1.2.0: " in printed
    assert "404 Not Found" in printed
    assert "build 1.1.0: `go build` in toolchain/go/greeter ended with 1:" in printed
    assert "greeter.go:7:2: undefined: hello" in printed
    assert isinstance(find("bundle"), Installed)


@pytest.mark.usefixtures("table")
def test_without_go_the_error_says_to_install_it(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del publisher.files["/sha256sums.txt"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert "there is no `go` on PATH; install Go" in reason("greeter", capsys)


@pytest.mark.usefixtures("table")
def test_an_absent_optional_product_is_reported_and_is_no_failure(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher.files.clear()
    assert main(["--only", "bundle"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("bundle: not installed, and optional\n  release 2.0.0: ")
    assert "the release is the only way" in printed


def test_a_package_of_the_distribution_will_do_and_nobody_is_asked(
    packages: Path, publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    lodge(packages)
    assert main(["--only", "lodger"]) == 0
    assert publisher.asked == []
    assert capsys.readouterr().out.endswith(f"in {cache() / 'tools'}; packages of the distribution: lodger\n")
    found = find("lodger")
    assert isinstance(found, Installed)
    assert (found.version, found.route, said(program("lodger"))) == ("2.4.1-3+b5", "package", "packaged")


def test_without_release_and_package_the_error_names_the_package(
    packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--only", "lodger"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("lodger: not installed, and optional\n  release 3.0.0: ")
    assert printed.endswith("\n  build: none\n  package: none; Debian's distribution-lodger will do\n")
    assert list(packages.iterdir()) == []


def test_a_release_comes_before_a_package(packages: Path, publisher: Publisher) -> None:
    publisher.publish("lodger-3.0.0.tar.gz", tar({"lodger-3.0.0/lodger": SCRIPT}), "lodger-3.0.0.txt")
    assert main(["--only", "lodger"]) == 0
    lodge(packages)
    assert said(program("lodger")) == "released"


def test_a_program_that_no_package_is_known_for_has_no_version(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lodge(packages)
    monkeypatch.setattr(programs, "_DPKG", packages / "not-debian")
    found = find("lodger")
    assert isinstance(found, Installed)
    assert found.version == "unknown"


def test_a_host_that_cannot_be_reached_is_asked_once_an_hour(
    table: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.write_text(table.read_text().replace(publisher.address, "https://releases.invalid"))
    versions.table.cache_clear()
    monkeypatch.setenv("HTTPS_PROXY", publisher.address)  # counts the tries, and lets none through
    asked = ["CONNECT releases.invalid:443"]
    main([])
    main(["--only", "bundle"])
    assert publisher.asked == asked
    memory = cache() / "unreachable.json"
    known = json.loads(memory.read_text())
    known["releases.invalid"]["at"] -= 3601
    memory.write_text(json.dumps(known))
    main(["--only", "bundle"])
    assert publisher.asked == asked * 2


@pytest.mark.parametrize(("way", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130), (signal.SIGINT, 130)])
def test_an_interrupted_download_leaves_nothing_that_is_used(
    way: signal.Signals, code: int, table: Path, publisher: Publisher
) -> None:
    publisher.stalls_at = "/greeter-1.2.0.tar.gz"
    with start(table, "greeter") as running:
        assert publisher.stalled.wait(20)
        running.send_signal(way)
        running.communicate(timeout=20)
    assert running.returncode == code
    assert isinstance(find("greeter"), Absent)
    publisher.go_on.set()
    assert main(["--only", "greeter"]) == 0
    assert said(program("greeter")) == "released"
    assert not (cache() / "unfinished").exists()


def test_an_interrupted_build_stops_go_and_leaves_nothing_that_is_used(
    table: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    del publisher.files["/sha256sums.txt"]
    runs = table.parent / "go-runs"
    monkeypatch.setenv("FAKE_GO", "hang")
    monkeypatch.setenv("FAKE_GO_RUNS", str(runs))
    with start(table, "greeter") as running:
        deadline = time.monotonic() + 20
        while not runs.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)
    assert running.returncode == 130
    assert not runs.exists()
    assert isinstance(find("greeter"), Absent)
    assert not (cache() / "unfinished").exists()


def test_two_clones_that_install_at_once_share_the_work(table: Path, publisher: Publisher) -> None:
    publisher.stalls_at = "/greeter-1.2.0.tar.gz"
    with start(table, "greeter") as first, start(table, "greeter") as second:
        assert publisher.stalled.wait(20)
        publisher.go_on.set()
        printed = first.communicate(timeout=20)[0] + second.communicate(timeout=20)[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert publisher.asked.count("/greeter-1.2.0.tar.gz") == 1
    assert "greeter 1.2.0 (release)" in printed


@pytest.mark.usefixtures("table")
def test_another_recipe_is_another_directory(publisher: Publisher) -> None:
    del publisher.files["/sha256sums.txt"]
    main(["--only", "greeter"])
    (versions.GO / "greeter" / "go.mod").write_text("module example.invalid/toolchain/changed\n")
    assert isinstance(find("greeter"), Absent)


def test_a_product_without_a_release_is_built_and_nobody_is_asked(table: Path, publisher: Publisher) -> None:
    table.write_text(table.read_text() + (DATA / "built.yaml").read_text())
    versions.table.cache_clear()
    assert main(["--only", "homemade"]) == 0
    found = find("homemade")
    assert isinstance(found, Installed)
    assert (found.version, found.route, said(found.programs["waver"])) == ("1.0.0", "build", "built")
    assert publisher.asked == []


@pytest.mark.usefixtures("table")
def test_what_is_not_installed_says_what_to_run() -> None:
    assert find("greeter") == Absent("greeter", "not installed; run: make tools")
    with pytest.raises(ProgramMissing, match=r"^waver 1\.2\.0 is not installed; run: make tools$"):
        program("waver")


@pytest.mark.usefixtures("table")
def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(ProgramMissing, match=r"program 'wavr' is not in .* did you mean waver"):
        program("wavr")
    with pytest.raises(ProgramMissing, match=r"product 'greter' is not in .* did you mean greeter"):
        find("greter")


@pytest.mark.usefixtures("table")
def test_a_product_that_lost_a_program_is_absent_until_it_is_mended() -> None:
    main(["--only", "greeter"])
    program("waver").unlink()
    assert isinstance(find("greeter"), Absent)
    main(["--only", "greeter"])
    assert said(program("waver")) == "released"


def test_looking_up_programs_imports_nothing_that_downloads_or_draws() -> None:
    code = "import sys, toolchain.programs; print({'httpx', 'rich', 'asyncio', 'pulumi'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


SUM = "ab" * 32


@pytest.mark.parametrize(
    "text", [SUM, f"{SUM}\n", f"{SUM}  a.zip\n", f"{SUM.upper()} *a.zip", f"{'0' * 64}  b.zip\n{SUM}  a.zip"]
)
def test_published_checksums_are_read_as_publishers_write_them(text: str) -> None:
    assert published_checksum(text, "a.zip", "sums") == SUM


@pytest.mark.parametrize("text", ["", "<html>", f"{SUM}  b.zip", f"{SUM[:-1]}  a.zip", f"{SUM}  not-a.zip"])
def test_a_file_without_the_checksum_is_refused(text: str) -> None:
    with pytest.raises(ReleaseFailed, match=r"sums holds no SHA-256 of a\.zip"):
        published_checksum(text, "a.zip", "sums")


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("go") is None, reason="a build needs Go")
def test_a_real_module_is_built_and_says_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHSTACK_CACHE", str(tmp_path))
    known = {"github.com": {"at": int(time.time()), "reason": "kept away, so that it is built"}}
    (tmp_path / "unreachable.json").write_text(json.dumps(known))
    assert main(["--only", "node_exporter"]) == 0
    done = subprocess.run([program("node_exporter"), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"node_exporter, version {versions.table()['node_exporter'].version} ")
