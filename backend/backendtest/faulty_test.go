package backendtest_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
)

func TestFaulty(t *testing.T) {
	before, after, broken := errors.New("before"), errors.New("after"), errors.New("broken")
	inner, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	e := backendtest.NewFaulty(inner,
		backendtest.Fault{Call: backendtest.CallApply, N: 2, Err: before},
		backendtest.Fault{Call: backendtest.CallApply, N: 3, Err: after, After: true},
		backendtest.Fault{Call: backendtest.CallView, N: 1, Err: broken},
		backendtest.Fault{Call: backendtest.CallScan, N: 2, Err: broken, After: true},
		backendtest.Fault{Call: backendtest.CallScan, N: 3, Err: broken},
	)
	put := func(key string) error {
		var b backend.Batch
		b.Put(backend.SpaceKey, []byte(key), []byte("1"))
		return e.Apply(&b, backend.Sync)
	}
	require.NoError(t, put("a"))
	require.ErrorIs(t, put("b"), before)
	require.ErrorIs(t, put("c"), after)
	require.NoError(t, put("d"))

	_, err = e.View()
	require.ErrorIs(t, err, broken)
	v, err := e.View()
	require.NoError(t, err)
	keys := func() (keys string, err error) {
		err = v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool {
			keys += string(key)
			return true
		})
		return keys, err
	}
	got, err := keys()
	require.NoError(t, err)
	assert.Equal(t, "acd", got, "b failed before it took effect, c after")
	got, err = keys()
	require.ErrorIs(t, err, broken)
	assert.Equal(t, "acd", got)
	got, err = keys()
	require.ErrorIs(t, err, broken)
	assert.Empty(t, got)

	_, ok, err := v.Get(backend.SpaceKey, nil, []byte("a"))
	require.NoError(t, err)
	assert.True(t, ok)
	e.Inject(backendtest.Fault{Call: backendtest.CallGet, N: 1, Err: broken})
	_, ok, err = v.Get(backend.SpaceKey, nil, []byte("a"))
	require.ErrorIs(t, err, broken)
	assert.False(t, ok)
	_, ok, err = v.Get(backend.SpaceKey, nil, []byte("a"))
	require.NoError(t, err)
	assert.True(t, ok)

	assert.Equal(t, 4, e.Calls(backendtest.CallApply))
	assert.Equal(t, 2, e.Calls(backendtest.CallView))
	require.NoError(t, v.Close())
	assert.Equal(t, inner.Stats(), e.Stats())
	require.NoError(t, e.Close())
}
