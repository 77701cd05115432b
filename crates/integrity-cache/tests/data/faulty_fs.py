"""A file system that passes everything on to a folder, and misbehaves as it is told: the FUSE protocol 7.31, written out.

    faulty_fs.py FOLDER MOUNTPOINT FAULT...

    short    reads and writes take at most 1000 bytes
    eintr    one request of two is interrupted, by chance
    estale   one request of 97 says that the file is stale, until SIGUSR1
    nolink   no hard links, no renames that do not replace
    noflock  no locks
    coarse   times in whole seconds

Needs the right to mount. Prints `ready` when it is mounted; ends when it is unmounted or killed.
"""

import ctypes
import errno
import os
import random
import signal
import stat
import struct
import sys

folder, mountpoint, faults = sys.argv[1], sys.argv[2], set(sys.argv[3:])
paths, handles, requests = {1: folder}, {}, 0
healed, chance = [], random.Random(37)
signal.signal(signal.SIGUSR1, lambda *_: healed.append(True))
DIRECT_IO, FLOCK_LOCKS = 1, 1 << 10
(LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC) = (
    1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20)
(FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, CREATE, INTERRUPT, DESTROY, BATCH_FORGET, RENAME2) = (
    25, 26, 27, 28, 29, 30, 35, 36, 38, 42, 45)


def fail(number):
    raise OSError(number, "")


def attributes(s, node):
    times = [int(t // 1_000_000_000) for t in (s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns)]
    nanos = [0 if "coarse" in faults else t % 1_000_000_000 for t in (s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns)]
    return struct.pack("<6Q10I", node, s.st_size, s.st_blocks, *times, *nanos, s.st_mode, s.st_nlink, s.st_uid,
                       s.st_gid, 0, 4096, 0)


def status(node):
    for fd, owner in handles.values():
        if owner == node:
            return os.fstat(fd)
    return os.lstat(paths[node])


def entry(path):
    s = os.lstat(path)
    node = 1 if path == folder else s.st_ino
    paths[node] = path
    return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + attributes(s, node)


def opened(path, flags, node=None):
    fd = os.open(path, flags & ~os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    handle = max(handles, default=0) + 1
    handles[handle] = (fd, node or os.fstat(fd).st_ino)
    return struct.pack("<QII", handle, DIRECT_IO, 0)


def moved(old, new):
    os.rename(old, new)
    for node, path in list(paths.items()):
        if path == old or path.startswith(old + "/"):
            paths[node] = new + path[len(old):]


def answer(opcode, node, body):
    name = lambda at=0: os.path.join(paths[node], body[at:].split(b"\0")[0].decode())
    if opcode == INIT:
        flags = FLOCK_LOCKS if "noflock" in faults else 0
        return struct.pack("<4I2H2I2H2I6I", 7, 31, 0, flags, 0, 0, 128 << 10, 1, 0, 0, 0, 0, *[0] * 6)
    if opcode == LOOKUP:
        return entry(name())
    if opcode == GETATTR:
        return struct.pack("<QII", 0, 0, 0) + attributes(status(node), node)
    if opcode == SETATTR:
        valid, size, mode = *struct.unpack_from("<I", body), *struct.unpack_from("<Q", body, 16), *struct.unpack_from("<I", body, 68)
        if valid & 1:
            os.chmod(paths[node], stat.S_IMODE(mode))
        if valid & 8:
            os.truncate(paths[node], size)
        if valid & 0x1B0:
            os.utime(paths[node])
        return struct.pack("<QII", 0, 0, 0) + attributes(status(node), node)
    if opcode == MKDIR:
        os.mkdir(name(8), struct.unpack_from("<I", body)[0])
        return entry(name(8))
    if opcode == UNLINK:
        return os.unlink(name()) or b""
    if opcode == RMDIR:
        return os.rmdir(name()) or b""
    if opcode in (RENAME, RENAME2):
        at = 8 if opcode == RENAME else 16
        to = struct.unpack_from("<Q", body)[0]
        if opcode == RENAME2 and struct.unpack_from("<I", body, 8)[0]:
            fail(errno.EINVAL)
        old, new = body[at:].split(b"\0")[:2]
        moved(os.path.join(paths[node], old.decode()), os.path.join(paths[to], new.decode()))
        return b""
    if opcode == LINK:
        if "nolink" in faults:
            fail(errno.EOPNOTSUPP)
        os.link(paths[struct.unpack_from("<Q", body)[0]], name(8))
        return entry(name(8))
    if opcode in (OPEN, OPENDIR):
        return opened(paths[node], struct.unpack_from("<I", body)[0], node)
    if opcode == CREATE:
        flags, mode = struct.unpack_from("<II", body)
        return (lambda handle: entry(name(16)) + handle)(opened(name(16), flags | os.O_CREAT))
    if opcode in (READ, WRITE):
        handle, offset, size = struct.unpack_from("<QQI", body)
        size = min(size, 1000) if "short" in faults else size
        if opcode == READ:
            return os.pread(handles[handle][0], size, offset)
        return struct.pack("<II", os.pwrite(handles[handle][0], body[40 : 40 + size], offset), 0)
    if opcode == READDIR:
        handle, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        for at, child in enumerate(sorted(os.listdir(handles[handle][0])), 1):
            record = struct.pack("<QQII", 1, at, len(child), 0) + child.encode()
            record += bytes(-len(record) % 8)
            if at > offset and len(out) + len(record) <= size:
                out += record
            elif at > offset:
                break
        return out
    if opcode == STATFS:
        return struct.pack("<5Q4I6I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, *[0] * 7)
    if opcode in (RELEASE, RELEASEDIR):
        os.close(handles.pop(struct.unpack_from("<Q", body)[0])[0])
        return b""
    if opcode in (FLUSH, FSYNC, FSYNCDIR, DESTROY):
        return b""
    return fail(errno.ENOSYS)


def disturb(opcode):
    global requests
    requests += 1
    if opcode in (INIT, RELEASE, RELEASEDIR, FLUSH, DESTROY):
        return
    if "eintr" in faults and chance.random() < 0.5:
        fail(errno.EINTR)
    if "estale" in faults and not healed and requests % 97 == 0:
        fail(errno.ESTALE)


def main():
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"faulty", mountpoint.encode(), b"fuse", 0, options):
        sys.exit(f"cannot mount: {os.strerror(ctypes.get_errno())}")
    print("ready", flush=True)
    while True:
        try:
            request = os.read(device, 1 << 18)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            continue
        _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            continue
        try:
            disturb(opcode)
            number, out = 0, answer(opcode, node, request[40:])
        except OSError as error:
            number, out = -error.errno, b""
        except KeyError:
            number, out = -errno.ESTALE, b""
        try:
            os.write(device, struct.pack("<IiQ", 16 + len(out), number, unique) + out)
        except OSError:
            pass  # Nobody waits for it any more.


main()
