package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/keeper/metadata"
)

// residentKiB reads what a process has in memory.
func residentKiB(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// cpuTicks reads what a process has used, in 1/100 s.
func cpuTicks(pid int) float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return user + system
}

func benchTask(dir, space string, i int) Task {
	id := fmt.Sprintf("%032d", i)
	return Task{
		ID: id, Netns: space, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, byte(i >> 8), byte(i)}), 80), MetadataNetns: space, MetadataDevice: "lo",
		Metadata: metadata.Config{
			Task: json.RawMessage(`{"TaskARN":"` + strings.Repeat("x", 2000) + `"}`), Tagged: json.RawMessage(`{"TaskARN":"` + strings.Repeat("x", 2000) + `"}`),
			Containers: []metadata.Container{{ID: id + "-1", Document: json.RawMessage(`{"Name":"` + strings.Repeat("x", 1000) + `"}`)}},
		},
		Logs: []logship.Config{{
			Container: "app", Spool: filepath.Join(dir, id+".log"), Region: "us-east-1", Group: "/app", Stream: "app/app/" + id,
			Remote: logship.Remote{Resolver: netip.MustParseAddrPort("127.0.0.2:53"), AccessKeyID: "AK", SecretAccessKey: "SK"},
		}},
	}
}

// BenchmarkKeeper tells what a keeper of 100 tasks costs, and how long one task takes to put.
func BenchmarkKeeper(b *testing.B) {
	h := newHost(b)
	c, info := h.ensure("v1")
	s := newStage(b, h)
	ctx := context.Background()
	if err := c.Put(ctx, s.batch); err != nil {
		b.Fatal(err)
	}
	time.Sleep(time.Second)
	idle := residentKiB(b, info.PID)
	for b.Loop() {
		for i := range 100 {
			if err := c.PutTask(ctx, benchTask(h.dir, s.space, i)); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		if err := c.Prune(ctx, KindTask, nil); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	for i := range 100 {
		if err := c.PutTask(ctx, benchTask(h.dir, s.space, i)); err != nil {
			b.Fatal(err)
		}
	}
	time.Sleep(2 * time.Second)
	before := cpuTicks(info.PID)
	time.Sleep(5 * time.Second)
	b.ReportMetric(idle/1024, "idle-MiB")
	b.ReportMetric(residentKiB(b, info.PID)/1024, "100tasks-MiB")
	b.ReportMetric((cpuTicks(info.PID)-before)/5, "idle-cpu-%")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "us/task")
}

// BenchmarkResolver asks the keeper's resolver over UDP from inside the namespace, one question after the other.
func BenchmarkResolver(b *testing.B) {
	h := newHost(b)
	c, info := h.ensure("v1")
	s := newStage(b, h)
	if err := c.Put(context.Background(), s.batch); err != nil {
		b.Fatal(err)
	}
	conn, err := s.dial(context.Background(), "udp", "127.0.0.2:53")
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	m := new(wire.Msg)
	m.SetQuestion("logs.us-east-1.amazonaws.com.", wire.TypeA)
	question, _ := m.Pack()
	buf := make([]byte, 512)
	before := cpuTicks(info.PID)
	answered := 0
	for b.Loop() {
		if _, err := conn.Write(question); err != nil {
			b.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		if _, err := conn.Read(buf); err == nil { // beyond 1024 a second there is no answer
			answered++
		}
	}
	b.ReportMetric(float64(answered)/b.Elapsed().Seconds(), "answers/s")
	b.ReportMetric((cpuTicks(info.PID)-before)*10000/float64(max(answered, 1)), "cpu-us/answer")
}

// BenchmarkDoor fetches through the front door, against the same server without it.
func BenchmarkDoor(b *testing.B) {
	h := newHost(b)
	c, _ := h.ensure("v1")
	s := newStage(b, h)
	if err := c.Put(context.Background(), s.batch); err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B, t *http.Transport, url string) {
		client := &http.Client{Transport: t}
		for b.Loop() {
			resp, err := client.Get(url)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	b.Run("direct", func(b *testing.B) { run(b, &http.Transport{DialContext: s.dial}, "http://"+s.target.String()) })
	b.Run("door", func(b *testing.B) { run(b, &http.Transport{}, "http://"+s.door.String()) })
	b.Run("door-connection-each", func(b *testing.B) {
		run(b, &http.Transport{DisableKeepAlives: true}, "http://"+s.door.String())
	})
	b.Run("direct-connection-each", func(b *testing.B) {
		run(b, &http.Transport{DisableKeepAlives: true, DialContext: s.dial}, "http://"+s.target.String())
	})
}
