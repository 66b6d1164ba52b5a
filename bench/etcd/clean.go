package etcd

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// cleanAtOnce is how many keys are deleted by one request: each is one
// transaction, in which the server does nothing else.
const cleanAtOnce = 1000

// clean deletes every key under a prefix, which must not be empty. It has a
// bounded time of its own: it runs after whatever ended the run.
func (k *Kind) clean(prefix string) error {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		next, done, err := k.cleanSome(from, end)
		if err != nil || done {
			return err
		}
		from = next
	}
}

// cleanSome deletes the first keys of a range.
func (k *Kind) cleanSome(from, end string) (next string, done bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), k.cleanTimeout())
	defer cancel()
	r, err := k.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithKeysOnly(), clientv3.WithLimit(cleanAtOnce))
	if err != nil {
		return "", false, k.gone(err)
	}
	if len(r.Kvs) == 0 {
		return "", true, nil
	}
	next = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	if _, err = k.client.Delete(ctx, from, clientv3.WithRange(next)); err != nil {
		return "", false, k.gone(err)
	}
	return next, !r.More, nil
}
