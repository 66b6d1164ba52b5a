package verify

// probes in the order they run. The quick ones come first, so that a slow
// target loses the fewest rules.
var probes = []probe{
	{name: "ids", rules: []string{"C13", "C14", "X2"}, run: probeIDs},
	{name: "reuse", rules: []string{"X5", "X1", "X3"}, writes: 2 << 20, run: probeReuse},
	{name: "catchup", rules: []string{"C9", "N7"}, writes: 1 << 20, run: probeCatchUp},
	{name: "overtaken", rules: []string{"C12", "V3", "C11", headerOfC11}, writes: 1 << 20, compacts: true, run: probeOvertaken},
}
