package wire

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// What is told is what the messages are encoded, whichever way they were.
func TestCounted_TellsSizes(t *testing.T) {
	sent, received := 0, 0
	c := Counted(Codec(), func(n int) { sent += n }, func(n int) { received += n })
	assert.Equal(t, Codec().Name(), c.Name())
	plain := &pb.WatchResponse{WatchId: 7, Created: true}
	data, err := c.Marshal(plain)
	require.NoError(t, err)
	assert.Equal(t, proto.Size(plain), sent)
	back := &pb.WatchResponse{}
	require.NoError(t, c.Unmarshal(data, back))
	assert.Equal(t, sent, received)
	assert.True(t, proto.Equal(plain, back))

	message := NewEncoder(&pb.ResponseHeader{ClusterId: 1}).Encode(nil, 9).Message(7)
	sent = 0
	_, err = c.Marshal(message)
	require.NoError(t, err)
	assert.Equal(t, message.Size(), sent)

	_, err = c.Marshal("no message")
	require.Error(t, err)
	assert.Equal(t, message.Size(), sent)
}
