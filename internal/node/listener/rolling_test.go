package listener

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/proxy"
	"github.com/neargate/neargate/internal/store"
)

// load asks the load balancer from outside without a pause, on kept and on fresh connections, until stopped. It returns
// what failed.
func (w *world) load(ctx context.Context) (count *atomic.Int64, wait func() []error) {
	edge, err := netns.Open(model.EdgeNetns)
	if err != nil {
		w.t.Fatal(err)
	}
	d := netns.Dialer{Namespace: edge, LocalAddr: model.OutsideClient}
	count = &atomic.Int64{}
	var mu sync.Mutex
	var failed []error
	var wg sync.WaitGroup
	for i := range 4 {
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: i%2 == 0}}
		wg.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				if err := ask(client, "http://"+w.public.String()+"/"); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
				count.Add(1)
			}
		})
	}
	return count, func() []error {
		wg.Wait()
		edge.Close()
		return failed
	}
}

func ask(client *http.Client, url string) error {
	resp, err := client.Post(url, "text/plain", nil) // no client repeats it by itself
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// Targets are replaced one after the other, listeners come and go, the daemon is replaced: no request fails.
func TestRollingUpdateUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.stack()
	w.update(func(tx *store.Txn) {
		w.tables.SecurityGroupRules.Edit(tx, "lb-to-task", func(r *model.SecurityGroupRule) { r.To = 8099 })
	})
	w.eventually("both targets healthy", func() bool { return w.healthOf("10.0.1.7") == "healthy " && w.healthOf("10.0.2.7") == "healthy " })
	w.eventually("the load balancer answers", func() bool { body, err := w.get(); return err == nil && body != "" })
	runtime := w.process().Runtime()

	ctx, stop := context.WithCancel(t.Context())
	count, wait := w.load(ctx)
	for round := range 5 {
		old, port := 8080+round, 8081+round
		for zone, addr := range []string{"10.0.1.7", "10.0.2.7"} {
			shut := w.serveUntil(model.TaskNetns(fmt.Sprintf("%032d", zone+1)), fmt.Sprintf("%s:%d", addr, port))
			w.update(func(tx *store.Txn) {
				w.tables.Targets.Put(tx, &model.Target{TargetGroupARN: groupA, IP: ip(addr), Port: port, AZ: "us-east-1" + string("ab"[zone])})
			})
			w.eventually("the new target is healthy", func() bool {
				h, ok := w.tables.TargetHealth.Get(w.db.View(), model.TargetKey(groupA, ip(addr), port))
				return ok && h.State == model.TargetHealthy
			})
			if round > 0 {
				w.retire(runtime, addr, old)
			}
			w.t.Cleanup(shut)
		}
		if round == 2 {
			w.stop()
			w.start()
		}
		w.update(func(tx *store.Txn) {
			w.tables.Rules.Put(tx, &model.Rule{ARN: scope.RuleARN("web", lbID, "aaaa", fmt.Sprint(round)), ListenerARN: scope.ListenerARN("web", lbID, "aaaa"), Priority: round + 1,
				Conditions: []model.Condition{{Field: "path-pattern", Values: []string{fmt.Sprintf("/%d", round)}}},
				Actions:    []model.Action{{Type: model.ActionFixedResponse, FixedResponse: &model.FixedResponse{StatusCode: "200"}}}})
		})
	}
	stop()
	failed := wait()
	for _, err := range failed {
		t.Error(err)
	}
	t.Logf("%d requests, %d failed", count.Load(), len(failed))
}

// retire deregisters a target, and ends its server when HAProxy gives it nothing more: what the deregistration delay is for.
func (w *world) retire(runtime proxy.Runtime, addr string, port int) {
	w.t.Helper()
	key := model.TargetKey(groupA, ip(addr), port)
	w.update(func(tx *store.Txn) {
		w.tables.Targets.Edit(tx, key, func(g *model.Target) { g.DrainingSince = time.Unix(1, 0) })
	})
	name := fmt.Sprintf("t-%s-%d", addr, port)
	w.eventually("the old target drains", func() bool {
		servers, err := runtime.Servers(w.t.Context())
		drained := 0
		for _, s := range servers {
			if s.Name == name && s.State != proxy.Ready {
				drained++
			}
		}
		return err == nil && drained == 2
	})
	w.eventually("its last requests are answered", func() bool {
		out, err := runtime.Command(w.t.Context(), "show servers conn")
		for line := range strings.Lines(out) {
			f := strings.Fields(line) // backend/server ids address port - purge_delay used_cur ...
			if len(f) > 6 && strings.HasSuffix(f[0], "/"+name) && f[6] != "0" {
				return false
			}
		}
		return err == nil
	})
	w.servers[fmt.Sprintf("%s:%d", addr, port)]()
	w.update(func(tx *store.Txn) { w.tables.Targets.Delete(tx, key); w.tables.TargetHealth.Delete(tx, key) })
}
