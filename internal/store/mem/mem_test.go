package mem_test

import (
	"testing"

	"github.com/neargate/neargate/internal/store/mem"
	"github.com/neargate/neargate/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.TestBackend(t, func(testing.TB) storetest.Harness {
		b := mem.New()
		return storetest.Harness{Backend: b, Compact: b.Compact}
	})
}
