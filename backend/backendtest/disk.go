package backendtest

func diskCases() []testCase { return []testCase{} }
