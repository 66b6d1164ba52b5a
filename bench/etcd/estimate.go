package etcd

// What one revision takes in the server's file: bbolt's key is the revision,
// the value is the encoded KeyValue, and pages are not full. Measured on etcd
// 3.7.3; meant to be a little high.
const (
	recordBytes = 96
	fillFactor  = 1.15
)

// Cost is about how many bytes of its quota a server uses for one revision of
// a key and value of these lengths.
func Cost(key, value int) int64 {
	return int64(float64(key+value+recordBytes) * fillFactor)
}
