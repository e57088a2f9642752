package keeper

import (
	"os"
	"testing"
)

func TestTrimMemoryLeavesTheProgramIntact(t *testing.T) {
	for range 3 {
		if err := trimMemory(); err != nil {
			t.Fatal(err)
		}
		// Code and constants come back from the file when they are used.
		if _, err := os.ReadFile("/proc/self/status"); err != nil {
			t.Fatal(err)
		}
	}
}
