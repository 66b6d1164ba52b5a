// npm's etcd3 against a server: node.js ENDPOINT. Prints "ok" at the end.
const assert = require('node:assert/strict');
const { Etcd3, EtcdLockFailedError } = require('etcd3');

async function main() {
  const client = new Etcd3({ hosts: `http://${process.argv[2]}` });
  const all = client.namespace('js/');

  // put and get
  const first = Number((await all.put('a').value('1')).header.revision);
  await all.put('a').value('2');
  await all.put('b').value('x');
  assert.equal(await all.get('a').string(), '2');
  assert.equal(await all.get('nothing').string(), null);
  assert.deepEqual(await all.getAll().sort('Key', 'Descend').keys(), ['b', 'a']);
  assert.equal(await all.getAll().count(), 2);

  // transactions
  const done = await all.if('a', 'Value', '==', '2').and('b', 'Version', '>', 0)
    .then(all.put('a').value('3'), all.delete().key('b')).else(all.put('a').value('wrong')).commit();
  assert.ok(done.succeeded);
  const not = await all.if('a', 'Create', '==', 0).then().else(all.get('a')).commit();
  assert.ok(!not.succeeded);
  assert.equal(not.responses[0].response_range.kvs[0].value.toString(), '3');

  // a watch from a revision: history, then what is new
  const watcher = await all.watch().prefix('').startRevision(String(first)).create();
  const seen = [];
  const complete = new Promise((resolve, reject) => {
    watcher.on('error', reject);
    const saw = (kind) => (kv) => {
      seen.push(`${kind} ${kv.key} ${kv.value}`);
      if (kv.key.toString() === 'c') resolve();
    };
    watcher.on('put', saw('put'));
    watcher.on('delete', saw('delete'));
  });
  await all.put('c').value('new');
  await complete;
  await watcher.cancel();
  assert.deepEqual(seen, ['put a 1', 'put a 2', 'put b x', 'put a 3', 'delete b ', 'put c new']);

  // leases
  const lease = all.lease(1000);
  await lease.put('leased').value('1');
  assert.ok((await client.leaseClient.leaseTimeToLive({ ID: await lease.grant(), keys: true })).keys.length === 1);
  await lease.keepaliveOnce();
  await lease.revoke();
  assert.equal(await all.get('leased').string(), null);

  // locks and elections
  const lock = all.lock('l').ttl(60);
  await lock.acquire();
  await assert.rejects(() => all.lock('l').ttl(60).acquire(), EtcdLockFailedError);
  await lock.release();
  await all.lock('l').ttl(60).do(async () => {});
  const campaign = all.election('e', 60).campaign('me');
  await new Promise((resolve, reject) => campaign.on('elected', resolve).on('error', reject));
  assert.equal(await all.election('e', 60).leader(), 'me');
  await campaign.resign();

  // the server
  assert.match((await client.maintenance.status()).version, /^3\./);
  assert.deepEqual((await client.cluster.memberList({ linearizable: true })).members.map((m) => m.name), ['default']);
  await all.delete().all();
  client.close();
  console.log('ok');
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
