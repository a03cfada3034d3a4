"""Runs on the load balancer for watch.ts: answers each line of its stdin with what HAProxy says just now.

A line that is not empty becomes the autoscaler's heartbeat. One process for all looks, which starts no other: a process
is most of what a look costs. Python is there, as cloud-init is written in it.

Arguments: the autoscaler's lock, or "" for who may watch beside others; the heartbeat's file; the lock of who applies a
haproxy.cfg; HAProxy's socket; the question to it; what ends an answer; what is said where the lock is taken; after how
many seconds without a line it ends.
"""
import fcntl
import signal
import socket
import sys
import time

alone, heartbeat, applying, haproxy, question, end, taken, silence = sys.argv[1:]
say = sys.stdout.buffer.write


def take(file):
    """Whether the lock was free; it is held until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def last_heartbeat():
    """When it was written, in seconds since 1970, and what it says."""
    try:
        with open(heartbeat, "rb") as file:
            at, text = file.read().split(b" ", 1)
        return int(at), text
    except (OSError, ValueError):
        return None


def ask_haproxy():
    """Says what it answers; nothing, where it does not."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(5)
        try:
            asked.connect(haproxy)
            asked.sendall(question.encode() + b"\n")
            # HAProxy 2.6 answers when the other side is closed.
            asked.shutdown(socket.SHUT_WR)
            while said := asked.recv(65536):
                say(said)
        except OSError:
            pass


if alone:
    lock = open(alone, "ab")
    if not take(lock):
        say(taken.encode() + b"\n" + (last_heartbeat() or (0, b""))[1])
        sys.exit()

while True:
    signal.alarm(int(silence))
    line = sys.stdin.buffer.readline()
    if not line:
        break
    if found := last_heartbeat():
        say(b"heartbeat: %d %s\n" % (time.time() - found[0], found[1].rstrip(b"\n")))
    if line.strip():
        with open(heartbeat, "wb") as file:
            file.write(b"%d %s" % (time.time(), line))
    ask_haproxy()
    with open(applying, "ab") as file:
        say(b"applying: no\n" if take(file) else b"applying: yes\n")
    say(end.encode() + b"\n")
    sys.stdout.flush()
