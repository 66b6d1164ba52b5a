package faults

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childFlag turns the test binary into the victim of a test: it does what the
// JSON says and never runs a test.
var childFlag = flag.String("faults.child", "", "for the tests themselves: be a child process with this configuration")

// roles is what a child can be, by childConfig.Role. Files of this package add
// theirs with addRole when the program starts; nothing is added later.
var roles = map[string]func(config []byte) error{"work": runWorker}

func addRole(name string, run func(config []byte) error) struct{} {
	roles[name] = run
	return struct{}{}
}

func TestMain(m *testing.M) {
	flag.Parse()
	if *childFlag != "" {
		if err := runRole([]byte(*childFlag)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(childFailed)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m,
		// Badger's logging of its own, started once for the process.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
	)
}

// childFailed is how a child exits that could not do what it was told; other
// codes and signals are somebody else's doing.
const childFailed = 3

func runRole(config []byte) error {
	var c struct{ Role string }
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	run, ok := roles[c.Role]
	if !ok {
		return fmt.Errorf("no role %q", c.Role)
	}
	return run(config)
}
