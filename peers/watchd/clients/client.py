#!/usr/bin/python3
# Drives a server of the etcd v3 API with the Python client of Debian
# (python3-etcd3): python3 client.py HOST:PORT. Prints what it checked; ends
# with an error where an answer is not the expected one.
import queue
import sys

import etcd3
from etcd3 import events

host, port = sys.argv[1].split(":")
client = etcd3.client(host=host, port=int(port), timeout=20)
SECONDS = 20


def same(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, wanted {want!r}")


def kv():
    client.delete_prefix("py/")
    client.put("py/a", "1")
    value, meta = client.get("py/a")
    same("value", value, b"1")
    same("version", meta.version, 1)
    client.put("py/b", b"\x00\xff")
    found = {m.key: v for v, m in client.get_prefix("py/", sort_order="descend")}
    same("prefix", found, {b"py/a": b"1", b"py/b": b"\x00\xff"})
    same("delete", client.delete("py/b"), True)
    same("missing", client.get("py/b"), (None, None))


def txn():
    t = client.transactions
    ok, answers = client.transaction(
        compare=[t.value("py/a") == "1", t.version("py/none") == 0],
        success=[t.put("py/a", "2"), t.get("py/a")],
        failure=[t.delete("py/a")],
    )
    same("succeeded", ok, True)
    same("read in the transaction", answers[1][0][0], b"2")
    ok, _ = client.transaction(compare=[t.create("py/a") == 0], success=[], failure=[])
    same("not created", ok, False)
    same("replace", client.replace("py/a", "2", "3"), True)
    same("replace again", client.replace("py/a", "2", "4"), False)


def watch():
    got = queue.Queue()
    watch_id = client.add_watch_prefix_callback("py/w", got.put, prev_kv=True)
    client.put("py/w1", "x")
    start = client.get("py/w1")[1].mod_revision
    client.put("py/w1", "y")
    client.delete("py/w1")
    seen = []
    while len(seen) < 3:
        seen += got.get(timeout=SECONDS).events
    same("kinds", [type(e) for e in seen], [events.PutEvent, events.PutEvent, events.DeleteEvent])
    same("previous value", seen[1].prev_value, b"x")
    client.cancel_watch(watch_id)

    history, cancel = client.watch_prefix("py/w", start_revision=start)
    replayed = [next(history) for _ in range(3)]
    same("replayed", [e.value for e in replayed], [b"x", b"y", b""])
    same("revisions", [e.mod_revision for e in replayed], [start, start + 1, start + 2])
    cancel()


def lease():
    granted = client.lease(60)
    client.put("py/l", "x", lease=granted)
    same("keys", list(granted.keys), [b"py/l"])
    same("renewed", [r.TTL for r in granted.refresh()], [60])
    granted.revoke()
    same("gone with its lease", client.get("py/l"), (None, None))


def lock():
    # Waiting for a lock is broken in the library as Debian has it.
    with client.lock("py", ttl=20) as held:
        same("held", held.is_acquired(), True)
    same("released", held.is_acquired(), False)
    same("taken again", client.lock("py", ttl=20).acquire(timeout=None), True)


def maintenance():
    status = client.status()
    same("leader", status.leader is not None, True)
    client.compact(client.get("py/a")[1].mod_revision)
    same("hash", client.hash() > 0, True)
    client.defragment()
    same("alarms", list(client.list_alarms()), [])
    same("members", len(list(client.members)), 1)


for check in (kv, txn, watch, lease, lock, maintenance):
    check()
    print("ok", check.__name__)
