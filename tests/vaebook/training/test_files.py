"""Files that are whole or not there at all: kills, full disks, links, permissions, many writers."""

import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from tests.small_models import Recorder, numbered
from vaebook.training import Callback, Step, files, fit
from vaebook.training.checkpoint import load_run, save_run
from vaebook.training.files import HOST, check_writable, remove_orphans, write_atomically

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and signals")
NOT_ROOT = pytest.mark.skipif(
    os.name == "nt" or os.getuid() == 0, reason="permissions do not bind the superuser"
)
FULL = Path("/dev/full")  # each write to it fails as on a full disk
HAS_FULL = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
DEAD = 2**22 + 1  # above every process number that Linux gives


def orphan(path: Path, host: str = HOST, pid: int = DEAD) -> Path:
    left = path.with_name(f".{path.name}.{host}.{pid}.0123abcd.tmp")
    left.write_bytes(b"half")
    return left


# --- whole or not at all ------------------------------------------------------------------------


def test_bytes_and_functions_are_written(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    write_atomically(str(path), lambda temporary: temporary.write_text("newer"))
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_writer_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_atomically(path, b"old")

    def half(temporary: Path) -> None:
        temporary.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        assert path.read_text() == "old"

    write_atomically(path, write)
    assert path.read_text() == "new"


def test_content_and_folder_are_flushed_before_and_after_the_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")
    seen = []

    def fsync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        seen.append((kind, path.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"new")
    assert seen[0] == ("file", "old")
    assert seen[1:] == ([("folder", "new")] if os.name == "posix" else [])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "run.pt", tmp_path / "run.pt"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("no links on this system")
    for content in (b"first", b"second"):  # the target is not there, and is there
        write_atomically(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert {p.name for p in tmp_path.rglob("*")} == {"real", "run.pt"}


@POSIX
def test_permissions_are_kept_and_otherwise_usual(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "run.pt"
    plain.write_text("")
    write_atomically(path, b"1")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    for mode in (0o600, 0o664, 0o640):
        path.chmod(mode)
        write_atomically(
            path, lambda t, mode=mode: t.write_text(oct(stat.S_IMODE(t.stat().st_mode)))
        )
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.read_text() == oct(mode), "not readable by others while it is written"


@pytest.mark.parametrize("name", ["a" * 250, "ü" * 120])
def test_long_names_are_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_atomically(path, b"1")
    assert path.read_bytes() == b"1"


# --- before the first step ----------------------------------------------------------------------


@pytest.mark.parametrize("check", [check_writable, lambda path: write_atomically(path, b"")])
def test_what_cannot_be_written_is_said_before(check, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; create it first"):
        check(tmp_path / "nowhere" / "run.pt")
    with pytest.raises(NotADirectoryError, match="file is a file, so"):
        check(tmp_path / "file" / "run.pt")
    with pytest.raises(IsADirectoryError, match=r"is a folder; give the name of a file"):
        check(tmp_path)
    with pytest.raises(OSError, match=r"(?i)name too long|cannot find|syntax"):
        check(tmp_path / ("a" * 300))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@POSIX
def test_only_ordinary_files_are_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no ordinary file"):
        write_atomically(pipe, b"1")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@NOT_ROOT
def test_write_protected_files_and_folders_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match=r"run\.pt is there and write-protected"):
        check_writable(path)
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match=r"folder .* may not be written"):
            check_writable(path)
    finally:
        tmp_path.chmod(0o755)
    assert path.read_text() == "old"


def test_a_protected_file_is_refused_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.pt"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="write-protected"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"


def test_a_check_leaves_the_old_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    check_writable(path, 1000)
    assert not list(tmp_path.iterdir())
    path.write_text("old")
    check_writable(path, 1000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# --- full disks ---------------------------------------------------------------------------------


def little_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - free, free))


def test_too_little_room_is_noticed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    little_room(monkeypatch, 5_000_000)
    check_writable(tmp_path / "run.pt", 4_000_000)
    with pytest.raises(OSError, match=r"is full: 12\.0 MB are needed, 5\.0 MB are") as info:
        check_writable(tmp_path / "run.pt", 12_000_000)
    assert info.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


@HAS_FULL
def test_a_full_disk_is_named_and_the_old_file_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.pt"
    message = "is full: .* are free, and nothing was written"
    with pytest.raises(OSError, match=message) as info:
        write_atomically(path, lambda _: FULL.write_bytes(b"12"))
    assert info.value.errno == errno.ENOSPC
    path.write_text("old")
    message = "is full: 7.0 MB are needed, .* are free, and the old file is kept"
    with pytest.raises(OSError, match=message) as info:
        write_atomically(path, lambda _: FULL.write_bytes(b"12"), num_bytes=7_000_000)
    assert info.value.errno == errno.ENOSPC

    little_room(monkeypatch, 1000)  # torch's writer says only "enforce fail"
    with pytest.raises(OSError, match=r"is full: .* the old file is kept") as info:
        write_atomically(path, lambda _: torch.save({"a": torch.zeros(10**5)}, FULL))
    assert info.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@HAS_FULL
def test_a_checkpoint_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.pt"
    save_run(path, {"epoch": 1})
    create = files._create

    def on_a_full_disk(target: Path) -> Path:
        temporary = create(target)
        temporary.unlink()
        temporary.symlink_to(FULL)
        return temporary

    monkeypatch.setattr(files, "_create", on_a_full_disk)
    with pytest.raises(OSError, match=r"is full: 4.0 MB are needed") as info:
        save_run(path, {"epoch": 2, "model": torch.zeros(10**6)})
    assert info.value.errno == errno.ENOSPC
    assert load_run(path, {"epoch"}) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_are_not_called_a_full_disk(tmp_path: Path) -> None:
    def other(_: Path) -> None:
        raise RuntimeError("enforce fail at something else")

    with pytest.raises(RuntimeError, match="something else"):
        write_atomically(tmp_path / "run.pt", other)


# --- what a kill leaves -------------------------------------------------------------------------


def test_orphans_of_the_dead_are_removed_and_no_others(tmp_path: Path) -> None:
    path, other = tmp_path / "run.pt", tmp_path / "run.pt2"
    alive, mine = orphan(path, pid=os.getppid()), orphan(path, pid=os.getpid())
    elsewhere, of_other = orphan(path, host="another"), orphan(other)
    named_alike = tmp_path / f".run.pt.{HOST}.{DEAD}.notes.tmp"
    named_alike.write_text("")
    dead = orphan(path)
    if os.name == "nt":
        pytest.skip("there, only the age of a file is known")
    check_writable(path)
    kept = {alive, elsewhere, of_other, named_alike}
    assert set(tmp_path.iterdir()) == kept
    assert not dead.exists()
    assert not mine.exists(), "an earlier process of the same number, as in a container"
    write_atomically(path, b"new")
    assert set(tmp_path.iterdir()) == {path, *kept}

    long_ago = time.time() - 2 * 24 * 3600
    os.utime(elsewhere, (long_ago, long_ago))
    remove_orphans(path)
    assert not elsewhere.exists()


def test_a_file_in_the_making_is_no_orphan(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"

    def write(temporary: Path) -> None:
        temporary.write_text("outer")
        write_atomically(path, b"inner")
        assert temporary.exists()

    write_atomically(path, write)
    assert path.read_text() == "outer"


WRITER = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
letter = sys.argv[3].encode()
print("ready", flush=True)
while True:
    files.write_atomically(sys.argv[2], letter * 3_000_000)
"""


def start_writer(path: Path, letter: str) -> subprocess.Popen:
    arguments = [sys.executable, "-c", WRITER, files.__file__, str(path), letter]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@POSIX
def test_a_kill_leaves_a_whole_file_and_nothing_after_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    write_atomically(path, b"0" * 3_000_000)
    orphans = 0
    moments = random.Random(0)
    for attempt in range(10):
        process = start_writer(path, str(attempt))
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        orphans += len(list(tmp_path.iterdir())) - 1
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1
        check_writable(path)
        assert list(tmp_path.iterdir()) == [path]
    assert orphans, "the kills came between two writes only"


@POSIX
def test_two_processes_on_one_path_leave_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    processes = [start_writer(path, letter) for letter in "ab"]
    seen = set()
    end = time.monotonic() + 30
    while time.monotonic() < end and len(seen) < 2:
        if path.is_file():
            content = path.read_bytes()
            assert len(content) == 3_000_000
            assert len(set(content)) == 1
            seen.add(content[:1])
    assert all(process.poll() is None for process in processes), "one took the other's file"
    for process in processes:
        process.kill()
        process.communicate()
    assert seen == {b"a", b"b"}
    remove_orphans(path)
    assert list(tmp_path.iterdir()) == [path]


def test_two_threads_on_one_path_leave_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                save_run(path, {"number": torch.full((1000,), number)})
                assert len(load_run(path, {"number"})["number"].unique()) == 1
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert list(tmp_path.iterdir()) == [path]


KILLED_SAVER = """
import os, signal, sys, time
import torch
from vaebook.training.checkpoint import save_run
for delay in sys.argv[2:]:
    saved, tell = os.pipe()
    child = os.fork()
    if child == 0:
        number = 0
        while True:
            number += 1
            save_run(sys.argv[1], {"number": number, "values": torch.full((400_000,), number)})
            os.write(tell, b"1")
    os.read(saved, 1)
    time.sleep(float(delay))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
    sys.stdin.readline()
"""


@POSIX
def test_a_killed_run_can_always_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    save_run(path, {"number": 0, "values": torch.zeros(400_000)})
    moments = random.Random(1)
    delays = [f"{moments.uniform(0.01, 0.1):.3f}" for _ in range(10)]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_SAVER, str(path), *delays],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in delays:
        assert process.stdout.readline() == "killed\n"
        state = load_run(path, {"number", "values"})
        assert (state["values"] == state["number"]).all()
        check_writable(path, 10**6)
        assert list(tmp_path.iterdir()) == [path]
        process.stdin.write("\n")
        process.stdin.flush()
    process.communicate()
    assert load_run(path, {"number"})["number"] > 0


def test_a_checkpoint_stays_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    class Moves(Callback):
        def before_step(self, step: Step) -> None:
            os.chdir(tmp_path / "elsewhere")

    fit(Recorder(), numbered(4), num_epochs=1, checkpoint="run.pt", callbacks=[Moves()])
    assert (tmp_path / "run.pt").is_file()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("path", [None, 5, True, b"run.pt", ""])
def test_what_is_no_path_is_named(path: object) -> None:
    for read_or_write in (lambda: save_run(path, {}), lambda: load_run(path)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"the path is .*expected the name of a file"):
            read_or_write()


@pytest.mark.parametrize(
    ("num_bytes", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (999_000, "999.0 KB"),
        (1_500_000, "1.5 MB"),
        (10**9, "1.0 GB"),
        (2_340_000_000_000, "2340.0 GB"),
    ],
)
def test_sizes_are_told_in_the_largest_unit(num_bytes: int, told: str) -> None:
    assert files._size(num_bytes) == told


def test_as_much_room_as_is_needed_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little_room(monkeypatch, 5000)
    check_writable(tmp_path / "run.pt", 5000)
    with pytest.raises(OSError, match=r"5\.0 KB are needed, 5\.0 KB are free"):
        check_writable(tmp_path / "run.pt", 5001)
    little_room(monkeypatch, 0)
    check_writable(tmp_path / "run.pt")  # an empty file, of which nothing is known


@pytest.mark.skipif(os.name == "nt", reason="there, only the age of a file is known")
def test_who_is_dead_does_not_depend_on_the_size_of_a_number(tmp_path: Path) -> None:
    """Numbers below and above our own: the first process lives, one past the largest does not."""
    path = tmp_path / "run.pt"
    first, beyond = orphan(path, pid=1), orphan(path, pid=2**22 + 7)
    far = orphan(path, pid=10**15)  # no number of a process at all: nothing is known of it
    remove_orphans(path)
    assert set(tmp_path.iterdir()) == {first, far}
    assert not beyond.exists()


def test_what_another_machine_writes_is_left_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    ages = {hours: orphan(path, host="another", pid=hours) for hours in (0, 1, 23, 25)}
    for hours, file in ages.items():
        then = time.time() - hours * 3600
        os.utime(file, (then, then))
    remove_orphans(path)
    assert set(tmp_path.iterdir()) == {ages[0], ages[1], ages[23]}
