package backendtest

func abilityCases() []testCase { return []testCase{} }
