package etcd

// Meter reads what the server uses.
type Meter interface{}
