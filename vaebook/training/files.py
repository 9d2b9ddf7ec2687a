"""Files that are whole or not there at all, whatever happens while they are written."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

# A process on another machine cannot be asked whether it lives: its files are left for a day.
SECONDS_UNTOUCHED = 24 * 3600
SMALLEST_FREE = 2**20  # with fewer bytes, a disk counts as full
FULL = {errno.ENOSPC, errno.EDQUOT}
HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40] or "host"

_ours: set[Path] = set()  # what this process is writing now


def write_atomically(
    path: str | Path, data: bytes | Callable[[Path], object], *, num_bytes: int | None = None
) -> None:
    """Replace ``path`` by a file that holds ``data``, when that is whole and on the disk.

    A failure, a kill or a power cut leaves the old file. A link stays a link, and an existing file
    keeps its permissions. Several processes may write to one path: the last one wins, whole.

    Args:
        path: the file; its folder must exist.
        data: the content, or a function that writes it to the path that it is given.
        num_bytes: about how much a function will write, for the message when the disk is full.

    Raises:
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if ``path`` is a folder.
        PermissionError: if the file or its folder may not be written.
        OSError: with ``errno.ENOSPC`` if the disk is full; the old file is kept.
    """
    target = _target(path)
    remove_orphans(target)
    temporary = _create(target)
    try:
        try:
            if isinstance(data, bytes):
                temporary.write_bytes(data)
            else:
                data(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # wait until the content lies on the disk
        except (OSError, RuntimeError) as error:
            needed = len(data) if isinstance(data, bytes) else num_bytes
            full = _disk_full(error, target, temporary, needed)
            if full is None:
                raise
            raise full from error
        _copy_permissions(target, temporary)
        temporary.replace(target)
        _flush_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)
        _ours.discard(temporary)


def check_writable(path: str | Path, num_bytes: int = 0) -> Path:
    """Make sure, before hours of work, that ``path`` can be written at their end.

    What processes that were killed have left beside it is removed.

    Args:
        path: the file that :func:`write_atomically` will write.
        num_bytes: about how large it will be.

    Returns:
        The path from the root, which stays the same file if the working directory changes.

    Raises:
        OSError: as :func:`write_atomically` does, and if there is not room for ``num_bytes``.
    """
    target = _target(path)
    remove_orphans(target)
    temporary = _create(target)
    temporary.unlink()
    _ours.discard(temporary)
    free = shutil.disk_usage(target.parent).free
    if free < num_bytes:
        raise OSError(errno.ENOSPC, _full_message(target, f"{_size(num_bytes)} are needed", free))
    return Path(path).absolute()


def remove_orphans(path: str | Path) -> None:
    """Remove what processes that died while they wrote ``path`` have left beside it.

    The files of a process that lives are left alone. Those of another machine go when nobody has
    touched them for a day.
    """
    target = Path(os.path.realpath(path))
    pattern = re.compile(re.escape(_stem(target)) + r"\.([A-Za-z0-9-]+)\.(\d+)\.[0-9a-f]{8}\.tmp")
    with contextlib.suppress(OSError):  # a folder that cannot be listed is another's concern
        for name in os.listdir(target.parent):
            match = pattern.fullmatch(name)
            if match and _is_orphan(target.with_name(name), match[1], int(match[2])):
                with contextlib.suppress(OSError):
                    target.with_name(name).unlink()


def check_path(path: str | Path) -> str | Path:
    """The path of a file, as it was given; a ``ValueError`` if it is none, or empty."""
    if (
        not isinstance(path, str | os.PathLike)
        or not isinstance(os.fspath(path), str)
        or path == ""
    ):
        raise ValueError(f"the path is {path!r}; expected the name of a file, such as 'run.pt'.")
    return path


def _target(path: str | Path) -> Path:
    """The file that ``path`` stands for, behind any links; an ``OSError`` if it is not writable."""
    target = Path(os.path.realpath(check_path(path)))
    folder = target.parent
    if not folder.exists():
        raise FileNotFoundError(
            errno.ENOENT, f"folder {folder} does not exist; create it first, to write {path}."
        )
    if not folder.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, f"{folder} is a file, so {path} cannot be written in it."
        )
    try:
        mode = target.stat().st_mode  # a name that is too long ends here
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            errno.EISDIR, f"{path} is a folder; give the name of a file, as in {path}/run.pt."
        )
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{path} is no ordinary file; give another name.")
    if not os.access(target, os.W_OK):
        raise PermissionError(
            errno.EACCES, f"{path} is there and write-protected; allow it, or give another name."
        )
    return target


def _stem(target: Path) -> str:
    """How the temporary files of ``target`` begin; short, whatever its name is."""
    return f".{target.name[:40]}"


def _create(target: Path) -> Path:
    """An empty file beside ``target`` whose name says who writes it.

    It has the permissions of ``target``, or those of any new file. (Not mkstemp: its files are
    readable by their owner only, and stay so when moved.)
    """
    token = f"{HOST}.{os.getpid()}.{secrets.token_hex(4)}"
    temporary = target.with_name(f"{_stem(target)}.{token}.tmp")
    _ours.add(temporary)
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        _ours.discard(temporary)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermissionError(
                error.errno, f"folder {target.parent} may not be written, so {target.name} cannot."
            ) from error
        if error.errno in FULL:
            free = shutil.disk_usage(target.parent).free
            raise OSError(error.errno, _full_message(target, "no file fits", free)) from error
        raise
    _copy_permissions(target, temporary, stat.S_IWUSR)
    return temporary


def _copy_permissions(target: Path, temporary: Path, also: int = 0) -> None:
    """Give ``temporary`` the permissions of ``target``, if there is one, and ``also``."""
    with contextlib.suppress(OSError):  # some file systems have none
        temporary.chmod(stat.S_IMODE(target.stat().st_mode) | also)


def _is_orphan(temporary: Path, host: str, pid: int) -> bool:
    """Whether the process that wrote ``temporary`` is gone."""
    if host != HOST or os.name == "nt":  # there, os.kill would end the process
        with contextlib.suppress(OSError):
            return time.time() - temporary.stat().st_mtime > SECONDS_UNTOUCHED
        return False
    if pid == os.getpid():  # in a container, every run may have the same number
        return temporary not in _ours
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it lives and is another user's
        return False
    with contextlib.suppress(OSError, IndexError):  # Linux: killed, and its parent did not notice
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return False


def _flush_folder(folder: Path) -> None:
    """Wait until the name lies on the disk, where folders can be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _disk_full(
    error: OSError | RuntimeError, target: Path, temporary: Path, needed: int | None
) -> OSError | None:
    """The error to raise instead of ``error`` if it comes from a full disk, and ``None`` if not."""
    with contextlib.suppress(OSError):
        written = temporary.stat().st_size
        free = shutil.disk_usage(target.parent).free
        if isinstance(error, OSError):
            code = error.errno if error.errno in FULL else None
        else:  # torch's writer does not say what went wrong
            writer = "enforce fail" in str(error) or "iostream error" in str(error)
            missing = max((needed or 0) - written, SMALLEST_FREE)
            code = errno.ENOSPC if writer and free < missing else None
        if code is not None:
            what = f"{_size(needed)} are needed" if needed else f"{_size(written)} did not suffice"
            return OSError(code, _full_message(target, what, free + written))
    return None


def _full_message(target: Path, what: str, free: int) -> str:
    kept = "the old file is kept" if target.is_file() else "nothing was written"
    return (
        f"the disk of {target} is full: {what}, {_size(free)} are free, and {kept}. "
        "Make room there, or give a path on another disk."
    )


def _size(num_bytes: int) -> str:
    for unit, power in (("GB", 3), ("MB", 2), ("KB", 1)):
        if num_bytes >= 1000**power:
            return f"{num_bytes / 1000**power:.1f} {unit}"
    return f"{num_bytes} bytes"
