"""python3-etcd3 against a server: python.py PORT. Prints "ok" at the end."""

import sys
import threading

import etcd3

client = etcd3.client(host="127.0.0.1", port=int(sys.argv[1]), timeout=30)

# put and get
first = client.put("py/a", "1").header.revision
client.put("py/a", "2")
client.put("py/b", "x")
value, meta = client.get("py/a")
assert value == b"2" and meta.version == 2 and meta.create_revision == first, (value, meta)
assert [v for v, _ in client.get_prefix("py/")] == [b"2", b"x"]
assert [v for v, _ in client.get_prefix("py/", sort_order="descend")] == [b"x", b"2"]
assert client.get("py/nothing") == (None, None)

# transactions
succeeded, _ = client.transaction(
    compare=[client.transactions.value("py/a") == "2", client.transactions.version("py/b") > 0],
    success=[client.transactions.put("py/a", "3"), client.transactions.delete("py/b")],
    failure=[client.transactions.put("py/a", "wrong")],
)
assert succeeded
succeeded, answers = client.transaction(
    compare=[client.transactions.create("py/a") == 0],
    success=[],
    failure=[client.transactions.get("py/a")],
)
assert not succeeded and answers[0][0][0] == b"3", answers
assert client.replace("py/a", "3", "4") and not client.replace("py/a", "3", "5")

# a watch from a revision: history, then what is new
events, cancel = client.watch_prefix("py/", start_revision=first)
threading.Timer(0.1, lambda: client.put("py/c", "new")).start()
seen = []
for event in events:
    seen.append((type(event).__name__, event.key, event.value))
    if event.key == b"py/c":
        cancel()
assert seen == [
    ("PutEvent", b"py/a", b"1"),
    ("PutEvent", b"py/a", b"2"),
    ("PutEvent", b"py/b", b"x"),
    ("PutEvent", b"py/a", b"3"),
    ("DeleteEvent", b"py/b", b""),
    ("PutEvent", b"py/a", b"4"),
    ("PutEvent", b"py/c", b"new"),
], seen

# leases
lease = client.lease(1000)
client.put("py/leased", "1", lease=lease)
assert lease.granted_ttl == 1000 and 0 < lease.remaining_ttl <= 1000 and lease.keys == [b"py/leased"]
assert [answer.TTL for answer in lease.refresh()] == [1000]
lease.revoke()
assert client.get("py/leased") == (None, None)

# locks; to wait for one that is taken is broken in Debian's version
lock, other = client.lock("py", ttl=60), client.lock("py", ttl=60)
assert lock.acquire(timeout=20) and lock.is_acquired() and not other.is_acquired()
assert lock.release() and other.acquire(timeout=20) and not lock.is_acquired() and other.release()

# the server
assert client.status().version.startswith("3.")
assert [m.name for m in client.members] == ["default"]
assert client.delete_prefix("py/").deleted == 2
client.compact(client.put("py/end", "").header.revision)
client.close()
print("ok")
