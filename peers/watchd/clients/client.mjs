// Drives a server of the etcd v3 API with the Node client etcd3: node
// client.mjs HOST:PORT, with the library in node_modules beside this file or
// above. Prints what it checked; ends with an error where an
// answer is not the expected one.
import assert from 'node:assert/strict';
import { Etcd3 } from 'etcd3';

const client = new Etcd3({ hosts: process.argv[2] });

async function kv() {
  await client.delete().prefix('js/');
  await client.put('js/a').value('1');
  assert.equal(await client.get('js/a').string(), '1');
  await client.put('js/b').value('2');
  assert.deepEqual(await client.getAll().prefix('js/').sort('Key', 'Descend').keys(), ['js/b', 'js/a']);
  assert.deepEqual(await client.getAll().prefix('js/').limit(1).strings(), { 'js/a': '1' });
  const deleted = await client.delete().key('js/b').getPrevious();
  assert.equal(deleted[0].value.toString(), '2');
  assert.equal(await client.get('js/b').string(), null);
}

async function txn() {
  const yes = await client.if('js/a', 'Value', '==', '1').then(client.put('js/a').value('2')).else(client.delete().key('js/a')).commit();
  assert.equal(yes.succeeded, true);
  const no = await client.if('js/a', 'Create', '==', 0).then(client.put('js/a').value('3')).commit();
  assert.equal(no.succeeded, false);
  assert.equal(await client.get('js/a').string(), '2');
  // A transaction that is tried again until nobody came between.
  await client.stm().transact((tx) => tx.get('js/a').string().then((v) => tx.put('js/a').value(v + '!')));
  assert.equal(await client.get('js/a').string(), '2!');
}

function events(watcher, n) {
  const seen = [];
  return new Promise((resolve, reject) => {
    watcher.on('error', reject);
    watcher.on('data', (response) => {
      for (const e of response.events) seen.push([e.type, e.kv.value.toString(), e.prev_kv ? e.prev_kv.value.toString() : '']);
      if (seen.length >= n) resolve(seen);
    });
  });
}

async function watch() {
  const live = await client.watch().prefix('js/w').withPreviousKV().create();
  const got = events(live, 3);
  const first = await client.put('js/w1').value('x');
  await client.put('js/w1').value('y');
  await client.delete().key('js/w1');
  const want = [['Put', 'x', ''], ['Put', 'y', 'x'], ['Delete', '', 'y']];
  assert.deepEqual(await got, want);
  await live.cancel();
  const replay = await client.watch().prefix('js/w').withPreviousKV().startRevision(first.header.revision).create();
  assert.deepEqual(await events(replay, 3), want);
  await replay.cancel();
}

async function lease() {
  const granted = client.lease(60);
  await granted.put('js/l').value('x');
  await granted.keepaliveOnce();
  assert.equal(await client.get('js/l').string(), 'x');
  await granted.revoke();
  assert.equal(await client.get('js/l').string(), null);
}

async function lock() {
  const held = await client.lock('js').acquire();
  await assert.rejects(client.lock('js').acquire(), /lock/i);
  await held.release();
  await (await client.lock('js').acquire()).release();
}

async function election() {
  const chosen = client.election('js-election', 20);
  const campaign = chosen.campaign('me');
  await new Promise((resolve, reject) => { campaign.on('elected', resolve); campaign.on('error', reject); });
  assert.equal(await chosen.leader(), 'me');
  await campaign.resign();
}

for (const check of [kv, txn, watch, lease, lock, election]) {
  await check();
  console.log('ok', check.name);
}
client.close();
