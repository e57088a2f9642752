package etcd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/etcd"
	"github.com/neargate/neargate/internal/store/storetest"
)

const crashDirEnv = "NEARGATE_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		writeUntilKilled(dir)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crashWriters = 4

// writeUntilKilled is the daemon of the crash test. Each writer counts up, writes its number into two records in one
// transaction, adds a third that stays, deletes the one before, and says what was acknowledged.
func writeUntilKilled(dir string) {
	ctx := context.Background()
	backend, err := etcd.Embedded(ctx, etcd.EmbeddedConfig{Dir: dir, Log: quiet})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	db, tables, err := store.OpenTables(ctx, backend, store.Options{Log: quiet})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var wg sync.WaitGroup
	var out sync.Mutex
	for w := range crashWriters {
		wg.Go(func() {
			for {
				var n int
				err := db.Update(ctx, func(tx *store.Txn) error {
					n = counter(tx, tables, w, "a") + 1
					for _, copyName := range []string{"a", "b"} {
						tables.Policies.Put(tx, &model.Policy{ARN: fmt.Sprintf("%d-%s", w, copyName), NextVersion: n})
					}
					tables.Clusters.Put(tx, &model.Cluster{Name: fmt.Sprintf("%d-%d", w, n)})
					tables.Clusters.Delete(tx, fmt.Sprintf("%d-%d", w, n-1))
					return nil
				})
				if err != nil {
					fmt.Println("error", err)
					return
				}
				out.Lock()
				fmt.Println(w, n)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

func counter(r store.Reader, tables *store.Tables, w int, copyName string) int {
	rec, ok := tables.Policies.Get(r, fmt.Sprintf("%d-%s", w, copyName))
	if !ok {
		return 0
	}
	return rec.NextVersion
}

func TestKilledAtAnyPointLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	var acked [crashWriters]int
	for round := range 6 {
		before, found := acked, acked
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
		cmd.Stderr = os.Stderr
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(pipe)
		armed := false
		for lines.Scan() {
			who, n, _ := strings.Cut(lines.Text(), " ")
			if who == "error" {
				t.Errorf("round %d: %s", round, lines.Text())
				break
			}
			if !armed { // it writes: kill it some time from now
				armed = true
				time.AfterFunc(rand.N(250*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
			w, _ := strconv.Atoi(who)
			acked[w], _ = strconv.Atoi(n)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()

		// Not a helper process: what this one reads is what the next daemon would.
		func() {
			backend, err := etcd.Embedded(t.Context(), etcd.EmbeddedConfig{Dir: dir, Log: quiet})
			if err != nil {
				t.Fatal(err)
			}
			defer backend.Close()
			db, tables, err := store.OpenTables(t.Context(), backend, store.Options{Log: quiet})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			view := db.View()
			for w := range crashWriters {
				a, b := counter(view, tables, w, "a"), counter(view, tables, w, "b")
				if a < acked[w] || a != b {
					t.Errorf("round %d, writer %d: acknowledged %d, found %d and %d", round, w, acked[w], a, b)
				}
				if a > acked[w]+1 {
					t.Errorf("round %d, writer %d: found %d, although %d was not acknowledged", round, w, a, acked[w]+1)
				}
				if a > 0 && !tables.Clusters.Has(view, fmt.Sprintf("%d-%d", w, a)) {
					t.Errorf("round %d, writer %d: record %d is missing", round, w, a)
				}
				found[w] = a
			}
			if n := tables.Clusters.Len(view); n > crashWriters {
				t.Errorf("round %d: %d records were not deleted", round, n-crashWriters)
			}
		}()
		t.Logf("round %d: %v acknowledged", round, acked)
		if before == acked {
			t.Errorf("round %d: nothing was written", round)
		}
		acked = found // what the killed one wrote last, acknowledged or not, is where the next one goes on
	}
}

func TestRestartKeepsRecordsAndDropsHistory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	var first int64
	func() {
		b, err := etcd.Embedded(t.Context(), etcd.EmbeddedConfig{Dir: dir, KeepRevisions: 100, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close() // waits for the compaction, which runs beside the writes
		for i := range 250 {
			value := []byte(fmt.Sprintf(`v1 {"name":"c","status":"%d"}`, i))
			res, err := b.Commit(t.Context(), store.Commit{Puts: []store.KV{{Key: "rec/cluster/c", Value: value}}})
			if err != nil {
				t.Fatal(err)
			}
			if first == 0 {
				first = res.Revision
			}
		}
	}()
	b := embedded(t, etcd.EmbeddedConfig{Dir: dir})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Watch(ctx, first, func([]store.Event) {}); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("the first revisions are still kept: %v", err)
	}
	db, tables := storetest.On(t, b)
	if c, ok := tables.Clusters.Get(db.View(), "c"); !ok || c.Status != "249" {
		t.Errorf("found %+v", c)
	}
}
