"""Attacks on files: of the user, of the home, of other runs, of the interpreter; and tricks with links in the scratch folder."""

from __future__ import annotations

import ctypes
import os
import sqlite3
from typing import Final

from .attack import BLOCKED, NOTHING, REFUSED, Table, Targets
from .inside import checked, libc, raw_syscall, syscall

FILES: Final = Table("files")
probe = FILES.probe


@probe("reads /etc/passwd")
def passwd(t: Targets) -> object:
    return open("/etc/passwd").read(40)


@probe("reads /etc/shadow")
def shadow(t: Targets) -> object:
    return open("/etc/shadow").read(40)


@probe("reads a private key in the user's home")
def user_home(t: Targets) -> object:
    return open(t["secret"]).read()


@probe("lists the user's home")
def list_user_home(t: Targets) -> object:
    return os.listdir(t["user_home"])


@probe("lists the home of root and of others", (*REFUSED, r"got \[\]"))
def list_other_homes(t: Targets) -> object:
    return os.listdir("/root") or os.listdir("/home")


@probe("follows a relative path upwards from the scratch folder")
def upwards(t: Targets) -> object:
    return open("../" * 40 + t["secret"].lstrip("/")).read()


@probe("opens the database as SQLite does", (*REFUSED, "OperationalError: unable to open database file"))
def database(t: Targets) -> object:
    with sqlite3.connect(t["database"]) as connection:
        return connection.execute("select count(*) from sqlite_master").fetchone()


@probe("attaches the database to one of its own", (*REFUSED, "OperationalError: unable to open database: .*"))
def attach(t: Targets) -> object:
    connection = sqlite3.connect("own.db")
    connection.execute("attach database ? as other", (t["database"],))
    return connection.execute("select count(*) from other.sqlite_master").fetchone()


@probe("opens the database for writing")
def write_database(t: Targets) -> object:
    return os.open(t["database"], os.O_WRONLY)


@probe("reads the server's log")
def log_file(t: Targets) -> object:
    return open(t["log"]).read(40)


@probe("puts a workflow of the operator's into the home")
def write_workflow(t: Targets) -> object:
    return os.open(f"{t['home']}/workflows/mine.py", os.O_CREAT | os.O_WRONLY)


@probe("lists the home of the server")
def list_home(t: Targets) -> object:
    return os.listdir(t["home"])


@probe("writes settings for the next start")
def write_settings(t: Targets) -> object:
    return os.open(f"{t['home']}/repertoire.toml", os.O_CREAT | os.O_WRONLY)


@probe("writes into a folder that everybody may write")
def write_shared(t: Targets) -> object:
    return os.open(f"{t['shared']}/mine", os.O_CREAT | os.O_WRONLY)


@probe("sees what others have in /tmp", (*REFUSED, r"got \[\]"))
def list_tmp(t: Targets) -> object:
    mine = os.path.realpath(os.getcwd())
    return [name for name in os.listdir("/tmp") if not mine.startswith(f"/tmp/{name}")]


@probe("writes into /dev/shm, where others could read")
def dev_shm(t: Targets) -> object:
    return os.open("/dev/shm/mine", os.O_CREAT | os.O_WRONLY)


@probe("sees the folders of other runs beside its own", (*REFUSED, r"got \[\]"))
def other_runs(t: Targets) -> object:
    mine = os.path.basename(os.getcwd())
    return [name for name in os.listdir("..") if name != mine and os.path.isdir(f"../{name}/.")]


@probe("lists the contents of everybody's artifacts", (*REFUSED, r"got \[\]"))
def artifacts(t: Targets) -> object:
    return [name for _, _, names in os.walk(f"{t['home']}/artifacts/files") for name in names] or os.listdir(
        f"{t['home']}/artifacts"
    )


@probe("puts a symbolic link to the secret into its scratch folder, and opens it")
def symlink(t: Targets) -> object:
    os.symlink(t["secret"], "link")
    return open("link").read()


@probe("makes a hard link to the secret", (*REFUSED, "EXDEV"))
def hard_link(t: Targets) -> object:
    os.link(t["secret"], "hard")
    return open("hard").read()


@probe("makes a hard link to the secret by its descriptor's path", (*REFUSED, "EXDEV"))
def link_of_descriptor(t: Targets) -> object:
    fd = os.open(t["secret"], os.O_PATH)
    os.link(f"/proc/self/fd/{fd}", "hard2", follow_symlinks=True)
    return open("hard2").read()


@probe("moves the secret into its scratch folder", (*REFUSED, "EXDEV"))
def rename(t: Targets) -> object:
    os.rename(t["secret"], "mine")
    os.rename("mine", t["secret"])
    return "moved, and moved back"


@probe("opens the secret for writing")
def write_secret(t: Targets) -> object:
    return os.open(t["secret"], os.O_WRONLY | os.O_APPEND)


@probe("makes the secret readable for all")
def chmod(t: Targets) -> object:
    os.chmod(t["secret"], 0o600)
    return "chmod"


@probe("gives the secret to another user")
def chown(t: Targets) -> object:
    found = os.stat(t["secret"])
    os.chown(t["secret"], found.st_uid, found.st_gid)
    return "chown"


@probe("sets an attribute of the secret's file", (*REFUSED, "ENOTSUP"))
def xattr(t: Targets) -> object:
    return os.listxattr(t["secret"])


@probe("tells from stat whether a file is there, and how large")
def stat_secret(t: Targets) -> object:
    return os.stat(t["secret"]).st_size


@probe("reads the secret by the C library, without Python's open")
def by_c(t: Targets) -> object:
    return checked(libc().open(t["secret"].encode(), os.O_RDONLY))


@probe("opens the secret by the number of the system call")
def by_number(t: Targets) -> object:
    return syscall("openat", -100, t["secret"].encode(), os.O_RDONLY, 0)


@probe("opens the secret by openat2", REFUSED)
def by_openat2(t: Targets) -> object:
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    return syscall("openat2", -100, t["secret"].encode(), how, 24)


@probe("opens the secret by machine code in memory of its own")
def by_machine_code(t: Targets) -> object:
    name = ctypes.create_string_buffer(t["secret"].encode())
    return raw_syscall(257, -100, ctypes.addressof(name), os.O_RDONLY, 0)


@probe("opens a file by its handle, past all folders", (*BLOCKED, "ENOTSUP"))
def by_handle(t: Targets) -> object:
    handle = (ctypes.c_char * 136)()
    ctypes.memmove(handle, (128).to_bytes(4, "little"), 4)
    mount = ctypes.c_int()
    syscall("name_to_handle_at", -100, b"/", handle, ctypes.byref(mount), 0)
    return syscall("open_by_handle_at", os.open("/", os.O_RDONLY), handle, os.O_RDONLY)


@probe("leaves its root by chroot", BLOCKED)
def chroot(t: Targets) -> object:
    return syscall("chroot", b"/no/such/place")


@probe("makes a device file of the disk", REFUSED)
def mknod(t: Targets) -> object:
    os.mknod("disk", 0o60600, os.makedev(254, 0))
    return os.open("disk", os.O_RDONLY)


@probe("reads the memory of the kernel, or its log")
def devices(t: Targets) -> object:
    for name in ("/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/vda", "/dev/sda"):
        try:
            return name, os.open(name, os.O_RDONLY)
        except OSError:
            continue
    return None


@probe("makes a program that runs as its owner", (*REFUSED, NOTHING))
def set_uid(t: Targets) -> object:
    open("program", "w").close()
    os.chmod("program", 0o4755)
    kept = os.stat("program").st_mode & 0o4000
    return "set-user-id, on a file system that heeds it" if kept and not os.statvfs(".").f_flag & os.ST_NOSUID else None


@probe("changes a package that the server imports")
def write_package(t: Targets) -> object:
    return os.open(f"{t['packages']}/attack.pth", os.O_CREAT | os.O_WRONLY)


@probe("changes Repertoire's own code")
def write_repertoire(t: Targets) -> object:
    import repertoire

    return os.open(repertoire.__file__, os.O_WRONLY)


@probe("watches the user's home for changes", REFUSED)
def watch(t: Targets) -> object:
    fd = checked(libc().inotify_init())
    return checked(libc().inotify_add_watch(fd, t["user_home"].encode(), 0x100))


@probe("reads through /proc/self/root")
def proc_root(t: Targets) -> object:
    return open(f"/proc/self/root{t['secret']}").read()


@probe("reads through the root of the first process")
def root_of_init(t: Targets) -> object:
    return open(f"/proc/1/root{t['secret']}").read()


@probe("reads through the working folder of the server")
def folder_of_server(t: Targets) -> object:
    return open(f"/proc/{t['daemon']}/cwd{t['secret']}").read()


@probe("lists mounts, to know where things are")
def mounts(t: Targets) -> object:
    return open("/proc/self/mounts").read(40)
