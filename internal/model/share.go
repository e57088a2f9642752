package model

// ShareProviders returns the capacity provider of each of n new tasks. The bases come first, then the weights share the
// rest in their ratio; what does not divide goes one by one to the provider that is furthest below its share. An empty
// strategy gives empty names: a launch type decides. (aws-facts 1.8; AWS's order for remainders is not known.)
func ShareProviders(strategy []CapacityProviderStrategy, n int) []string {
	names := make([]string, 0, n)
	if len(strategy) == 0 {
		return append(names, make([]string, n)...)
	}
	if len(strategy) == 1 {
		for range n {
			names = append(names, strategy[0].Provider)
		}
		return names
	}
	for _, item := range strategy {
		for range item.Base {
			if len(names) < n {
				names = append(names, item.Provider)
			}
		}
	}
	given := make([]int, len(strategy))
	for len(names) < n {
		best := -1
		for i, item := range strategy {
			if item.Weight == 0 {
				continue
			}
			// given/weight is how much of its share a provider has; compare without division.
			if best < 0 || given[i]*strategy[best].Weight < given[best]*item.Weight {
				best = i
			}
		}
		if best < 0 {
			best = 0
		}
		given[best]++
		names = append(names, strategy[best].Provider)
	}
	return names
}
