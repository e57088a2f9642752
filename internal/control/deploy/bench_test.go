package deploy_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/etcd"
)

// BenchmarkStart100Tasks is control's part of starting a service with 100 tasks, over an embedded etcd: "placed" is from
// the service's record to the last task's place, "running" adds a host whose work costs nothing but its writes, and
// "scaled-in" is how long it then takes until each task is told to stop.
func BenchmarkStart100Tasks(b *testing.B) {
	var placed, running, stopped time.Duration
	for range b.N {
		func() {
			backend, err := etcd.Embedded(b.Context(), etcd.EmbeddedConfig{Dir: filepath.Join(b.TempDir(), "etcd"), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer backend.Close()
			db, tables, err := store.OpenTables(b.Context(), backend, store.Options{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			s := newStage(b, db, tables)
			s.starts, s.probe = 0, time.Hour
			defer s.run()()
			count := func(is func(*model.Task) bool) (n int) {
				for t := range tables.Tasks.List(db.View()) {
					if is(t) {
						n++
					}
				}
				return n
			}
			await := func(is func(*model.Task) bool) {
				for deadline := time.Now().Add(time.Minute); count(is) < 100; {
					if time.Now().After(deadline) {
						b.Fatalf("%d of 100 tasks", count(is))
					}
					time.Sleep(time.Millisecond)
				}
			}
			start := time.Now()
			s.create(100)
			await(func(t *model.Task) bool { return t.Host != "" })
			placed += time.Since(start)
			await(func(t *model.Task) bool { return t.State >= model.TaskRunning })
			running += time.Since(start)
			start = time.Now()
			s.change(func(v *model.Service) { v.DesiredCount = 0 })
			await(func(t *model.Task) bool { return t.Desired == model.DesiredStopped })
			stopped += time.Since(start)
		}()
	}
	b.ReportMetric(0, "ns/op")
	for name, d := range map[string]time.Duration{"placed-ms": placed, "running-ms": running, "scaled-in-ms": stopped} {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name)
	}
}
