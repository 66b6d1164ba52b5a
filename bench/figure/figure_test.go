package figure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/bench/figure"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                       "0",
		312:                     "312 ns",
		999:                     "999 ns",
		1_000:                   "1.00 µs",
		36_249:                  "36.2 µs",
		312_400:                 "312 µs",
		999_400:                 "999 µs",
		999_600:                 "1.00 ms",
		1_840_000:               "1.84 ms",
		9_996_000:               "10.0 ms",
		14_230_000:              "14.2 ms",
		212 * time.Millisecond:  "212 ms",
		1790 * time.Millisecond: "1.79 s",
		150 * time.Second:       "150 s",
		-36_249:                 "-36.2 µs",
	} {
		assert.Equal(t, want, figure.Duration(d), "%d ns", int64(d))
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		45 * time.Second:        "45 s",
		10 * time.Minute:        "10 min",
		90 * time.Second:        "90 s",
		6200 * time.Millisecond: "6.2 s",
		100 * time.Millisecond:  "100 ms",
	} {
		assert.Equal(t, want, figure.Short(d))
	}
}

func TestCountRatePlain(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 514: "514", 5000: "5,000", 20_000: "20,000", 999_999: "999,999", 1_000_000: "1.00M", 44_900_000: "44.9M", 2_345_000_000: "2.35G", -1200: "-1,200"} {
		assert.Equal(t, want, figure.Count(n))
	}
	for v, want := range map[float64]string{0: "0", 1.5: "1.50", 99.97: "100", 2000: "2,000", 9999.4: "9,999", 9999.7: "10.0k", 111_234: "111k", 11_234_000: "11.2M", 999_700: "1.00M"} {
		assert.Equal(t, want, figure.Rate(v))
	}
	for v, want := range map[float64]string{0: "0", 0.00006: "<0.01", 0.07331: "0.0733", 41.26: "41.3", 4138: "4,140", 999.6: "1,000", 123_456: "123,000"} {
		assert.Equal(t, want, figure.Plain(v))
	}
}

func TestBytesAndPercent(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 212 << 20: "212 MiB", 1000 << 20: "0.98 GiB", 3 << 30: "3.00 GiB"} {
		assert.Equal(t, want, figure.Bytes(n))
	}
	for n, want := range map[int64]string{256: "256 B", 4096: "4 KiB", 1 << 20: "1 MiB", 1500: "1.46 KiB"} {
		assert.Equal(t, want, figure.ShortBytes(n))
	}
	for v, want := range map[float64]string{0: "0%", 0.0001: "<0.1%", 0.021: "2.1%", 0.08: "8%", 0.92: "92%", 1: "100%", 0.033: "3.3%"} {
		assert.Equal(t, want, figure.Percent(v))
	}
}

func TestParse(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "500": 500, "5k": 5000, "1M": 1_000_000, "1.5M": 1_500_000, "2G": 2_000_000_000, "10,000": 10_000} {
		got, err := figure.ParseCount(s)
		assert.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "5oo", "-1", "1.5", "k", "1e3", "0x10", "99999999999G", "nan", "inf"} {
		_, err := figure.ParseCount(s)
		assert.ErrorIs(t, err, figure.ErrCount, s)
	}
	for s, want := range map[string]int64{"256": 256, "256B": 256, "4KiB": 4096, "1MiB": 1 << 20, "1.5KiB": 1536, "2MB": 2_000_000} {
		got, err := figure.ParseSize(s)
		assert.NoError(t, err, s)
		assert.Equal(t, want, got, s)
	}
	_, err := figure.ParseSize("4K")
	assert.ErrorIs(t, err, figure.ErrSize)

	d, err := figure.ParseDuration("1m30s")
	assert.NoError(t, err)
	assert.Equal(t, 90*time.Second, d)
	_, err = figure.ParseDuration("10")
	assert.EqualError(t, err, "unit is missing; write 10s or 10m")
	_, err = figure.ParseDuration("soon")
	assert.ErrorIs(t, err, figure.ErrDuration)
}
