package etcd_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/etcd"
)

func open(b *testing.B) (*store.DB, *store.Tables) {
	b.Helper()
	backend := embedded(b, etcd.EmbeddedConfig{Dir: filepath.Join(b.TempDir(), "etcd")})
	db, tables, err := store.OpenTables(b.Context(), backend, store.Options{Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	return db, tables
}

// BenchmarkDurableWrites is durable writes by eight writers: each its own record, all the same record, and each an
// address out of one subnet's list.
func BenchmarkDurableWrites(b *testing.B) {
	const writers = 8
	run := func(b *testing.B, write func(db *store.DB, tables *store.Tables, n int64) error) {
		db, tables := open(b)
		var n atomic.Int64
		b.SetParallelism(writers / 2) // times GOMAXPROCS, which is 2 where it counts
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := write(db, tables, n.Add(1)); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	}
	b.Run("new", func(b *testing.B) {
		run(b, func(db *store.DB, tables *store.Tables, n int64) error {
			return db.Update(b.Context(), func(tx *store.Txn) error {
				tables.Subnets.Put(tx, &model.Subnet{ID: fmt.Sprintf("subnet-%d", n), VPCID: fmt.Sprintf("vpc-%d", n%64), State: "available"})
				return nil
			})
		})
	})
	b.Run("same", func(b *testing.B) {
		run(b, func(db *store.DB, tables *store.Tables, n int64) error {
			return db.Update(b.Context(), func(tx *store.Txn) error {
				next := &model.Policy{ARN: "counter"}
				if was, ok := tables.Policies.Get(tx, "counter"); ok {
					next = tables.Policies.Clone(was)
				}
				next.NextVersion++
				tables.Policies.Put(tx, next)
				return nil
			})
		})
	})
	b.Run("list", func(b *testing.B) {
		run(b, func(db *store.DB, tables *store.Tables, n int64) error {
			return db.Update(b.Context(), func(tx *store.Txn) error {
				subnet := fmt.Sprintf("subnet-%d", n/200)
				used := tables.NetworkInterfaces.LenBy(tx, "subnet", subnet)
				tables.NetworkInterfaces.Put(tx, &model.NetworkInterface{ID: fmt.Sprintf("eni-%d", n), SubnetID: subnet, DeviceIndex: used})
				return nil
			})
		})
	})
}
