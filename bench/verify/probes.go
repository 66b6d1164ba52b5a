package verify

import "time"

// probes in the order they run: those first that find what is known to break,
// so that a slow target loses none of them.
var probes = []probe{
	{name: "ids", rules: []string{"C13", "C14", "X2"}, run: probeIDs},
	{name: "reuse", rules: []string{"X5", "X3"}, writes: 2 * reusePuts * reuseValue, run: probeReuse},
	{name: "overtaken", rules: []string{"C12"}, limit: 30 * time.Second, writes: 1 << 20, compacts: true, run: probeOvertaken},
	{name: "ranges", rules: []string{"C1", "C2", "C3", "C6"}, run: probeRanges},
	{name: "live", rules: []string{"G1", "G2", "G3", "G4", "G8", "G9", "C7", "C15", "E1", "E3", "E4", "E5", "E6", "P1", "F1", "F2"}, writes: 1 << 20, renames: map[string]string{"N1": "F2"}, run: probeLive},
	{name: "txn", rules: []string{"E2", "G9"}, run: probeTransactions},
	{name: "starts", rules: []string{"C8"}, run: probeStarts},
	{name: "fromnow", rules: []string{"C7"}, most: fromNowMost, writes: fromNowMost * smallPut, run: probeFromNow},
	{name: "wire", rules: []string{"C17", "C18"}, renames: map[string]string{"G3": "C17", "G6": "C17"}, wire: true, run: probeWire},
	{name: "progress", rules: []string{"G6", "N2", "N3", "N5", "N6"}, most: progressMost, writes: progressMost * smallPut, run: probeProgress},
	{name: "queue", rules: []string{"N4"}, renames: map[string]string{"G6": "N4"}, run: probeQueue},
	{name: "catchup", rules: []string{"C9", "G5", "N7", "V5"}, writes: 1 << 20, run: probeCatchUp},
	{name: "options", rules: []string{"C16", owedOfN3}, renames: map[string]string{"P1": "C16", "P2": "C16"}, writes: 1 << 20, run: probeOptions},
	{name: "churn", rules: []string{"X1", "X4"}, writes: 1 << 20, run: probeChurn},
	{name: "slow", rules: []string{"V1", "V2", "V4", "V7"}, writes: slowRounds * slowPuts * slowValue, run: probeSlow,
		renames: map[string]string{"G1": "V1", "G2": "V1", "G3": "V1", "G4": "V1", "C13": "V7"}},
	{name: "sizes", rules: []string{"S1", "S2", "S3", "S4", "S5"}, writes: 2 * sizedKeys * sizedValue, run: probeSizes},
	{name: "policies", rules: []string{"V6"}, inside: true, writes: policyPuts * slowValue, run: probePolicies},
	{name: "gauges", rules: []string{"F3"}, inside: true, run: probeGauges},
	{name: "compaction", rules: []string{"C10", "C11", headerOfC11, "P2", "E8"}, compacts: true, run: probeCompaction},
	{name: "jumped", rules: []string{"V3"}, writes: jumpedPuts * slowValue, compacts: true, renames: map[string]string{"G3": "V3"}, run: probeJumped},
}

// besides run beside all the others on a server: they wait for what it does
// in its own time. On a private subject they come first.
var besides = []probe{
	{name: "periodic", rules: []string{"N1"}, run: probePeriodic},
	{name: "leases", rules: []string{"E7"}, run: probeLeases},
}
