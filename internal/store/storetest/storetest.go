// Package storetest helps to test what uses the store: New gives a test a whole store in memory, and TestBackend is the
// conformance suite that every back end passes.
package storetest

import (
	"log/slog"
	"testing"

	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/mem"
)

// New returns an empty store in memory with all tables. At its end the test fails if a shared record was changed in
// place instead of a clone.
func New(t testing.TB) (*store.DB, *store.Tables) {
	t.Helper()
	return On(t, mem.New())
}

// On is New on a given back end: use it twice on one back end to play two daemons.
func On(t testing.TB, backend store.Backend) (*store.DB, *store.Tables) {
	t.Helper()
	db, tables, err := store.OpenTables(t.Context(), backend, store.Options{DetectMutation: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		db.Close()
		if err := db.CheckMutations(); err != nil {
			t.Errorf("shared records were changed: %v", err)
		}
	})
	return db, tables
}
