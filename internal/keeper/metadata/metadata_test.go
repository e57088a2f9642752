package metadata

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func v2Root(t *testing.T) string {
	root := t.TempDir()
	write(t, root, map[string]string{
		"cgroup.controllers":             "cpu memory",
		"neargate/t/c/cpu.stat":          "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 7\nnr_throttled 2\nthrottled_usec 5\n",
		"neargate/t/c/memory.current":    "1048576\n",
		"neargate/t/c/memory.max":        "max\n",
		"neargate/t/c/memory.stat":       "anon 4096\nfile 8192\n",
		"neargate/t/c/memory.events":     "low 0\nmax 3\n",
		"neargate/t/c/pids.current":      "4\n",
		"neargate/t/c/pids.max":          "100\n",
		"neargate/t/c/io.stat":           "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\nbroken\n",
		"neargate/t/c/memory.peak":       "2097152\n",
		"neargate/t/c/unrelated.garbage": "x",
	})
	return root
}

func serveTask(t *testing.T, s *Server, cfg Config, interfaces func() (map[string]NetworkStats, error)) (*Task, string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	task := s.NewTask(cfg, interfaces)
	var wg sync.WaitGroup
	wg.Go(func() { _ = task.Serve(l) })
	t.Cleanup(func() { l.Close(); task.Close(); wg.Wait() })
	return task, "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func testConfig() Config {
	return Config{
		Task:   json.RawMessage(`{"TaskARN":"arn"}`),
		Tagged: json.RawMessage(`{"TaskARN":"arn","TaskTags":{"a":"b"}}`),
		Containers: []Container{
			{ID: "c1", DockerID: "c1", Name: "app", Document: json.RawMessage(`{"Name":"app"}`), Cgroup: "/neargate/t/c"},
			{ID: "c2", DockerID: "c2", Name: "side", Document: json.RawMessage(`{"Name":"side"}`), Cgroup: "/neargate/t/ended"},
		},
		Credentials: []Credentials{
			{ID: "u-1", RoleARN: "arn:role", AccessKeyID: "ASIA1", SecretAccessKey: "s", Token: "t", Expiration: time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("x", 3600))},
			{ID: "u-2", RoleARN: "arn:role"},
		},
	}
}

func TestPaths(t *testing.T) {
	s := NewServer(Options{CgroupRoot: v2Root(t)})
	_, base := serveTask(t, s, testConfig(), nil)
	tests := []struct {
		path   string
		status int
		body   string
	}{
		{"/v4/c1", 200, `{"Name":"app"}`},
		{"/v4/c1/", 200, `{"Name":"app"}`},
		{"/v4/c2", 200, `{"Name":"side"}`},
		{"/v3/c1", 200, `{"Name":"app"}`},
		{"/v4/c1/task", 200, `{"TaskARN":"arn"}`},
		{"/v4/c1/taskWithTags", 200, `{"TaskARN":"arn","TaskTags":{"a":"b"}}`},
		{"/v4/c2/stats", 200, `null`},
		{"/v4/c1/nothing", 404, `"404 page not found"`},
		{"/v4/other", 404, `"V4 metadata handler: unable to get container ID from request: unable to get docker ID from v3 endpoint ID: other"`},
		{"/v2/credentials/u-1", 200, `{"RoleArn":"arn:role","AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T02:04:05Z"}`},
		{"/v2/credentials?id=u-1", 200, `{"RoleArn":"arn:role","AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T02:04:05Z"}`},
		{"/v2/credentials", 400, `{"code":"NoIdInRequest","message":"CredentialsV2Request: No ID in the request","HTTPErrorCode":400}`},
		{"/v2/credentials/", 400, `{"code":"NoIdInRequest","message":"CredentialsV2Request: No ID in the request","HTTPErrorCode":400}`},
		{"/v2/credentials/u-9", 400, `{"code":"InvalidIdInRequest","message":"CredentialsV2Request: ID not found","HTTPErrorCode":400}`},
		{"/v2/credentials/u-2", 503, `{"code":"CredentialsUninitialized","message":"CredentialsV2Request: Credentials uninitialized for ID","HTTPErrorCode":503}`},
		{"/", 404, "404 page not found\n"},
		{"/latest/meta-data", 404, "404 page not found\n"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			status, body := get(t, base+tt.path)
			if status != tt.status || body != tt.body {
				t.Errorf("got %d %s, want %d %s", status, body, tt.status, tt.body)
			}
		})
	}
	resp, err := http.Post(base+"/v4/c1", "text/plain", strings.NewReader("x"))
	if err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", resp, err)
	}
	resp.Body.Close()
}

func TestTasksSeeOnlyThemselves(t *testing.T) {
	s := NewServer(Options{})
	_, a := serveTask(t, s, testConfig(), nil)
	task, b := serveTask(t, s, Config{Containers: []Container{{ID: "x", Document: json.RawMessage(`{}`)}}}, nil)
	for _, path := range []string{"/v4/c1", "/v2/credentials/u-1"} {
		if status, _ := get(t, a+path); status != 200 {
			t.Errorf("own %s: %d", path, status)
		}
		if status, body := get(t, b+path); status == 200 {
			t.Errorf("another's %s: %s", path, body)
		}
	}
	task.Set(testConfig())
	if status, _ := get(t, b+"/v4/c1"); status != 200 {
		t.Errorf("after Set: %d", status)
	}
	if status, body := get(t, a+"/v4/c1/taskWithTags"); status != 200 || !strings.Contains(body, "TaskTags") {
		t.Errorf("%d %s", status, body)
	}
}

func TestStats(t *testing.T) {
	s := NewServer(Options{CgroupRoot: v2Root(t)})
	links := map[string]NetworkStats{"eth1": {RxBytes: 1000, TxBytes: 500}}
	task, base := serveTask(t, s, testConfig(), func() (map[string]NetworkStats, error) { return links, nil })
	_, body := get(t, base+"/v4/c1/stats")
	var got Stats
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.CPU.Usage.Total != 3_000_000 || got.Memory.Usage != 1<<20 || got.Memory.Limit == 0 || got.Networks["eth1"].RxBytes != 1000 ||
		got.Name != "app" || got.Rates != nil || !got.PreRead.IsZero() {
		t.Errorf("first sample: %s", body)
	}
	// A second earlier, less had happened.
	task.stats.mu.Lock()
	p := task.stats.past["c1"]
	p[0].at, p[0].rx, p[0].tx = p[0].at.Add(-2*time.Second), 0, 0
	task.stats.past["c1"] = p
	task.stats.mu.Unlock()
	_, body = get(t, base+"/v4/c1/stats")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Rates == nil || got.Rates.Rx < 300 || got.Rates.Rx > 500 || got.PreCPU.Usage.Total != 3_000_000 || got.PreRead.IsZero() {
		t.Errorf("second sample: %s", body)
	}
	_, body = get(t, base+"/v4/c2/task/stats")
	var all map[string]*Stats
	if err := json.Unmarshal([]byte(body), &all); err != nil || all["c1"] == nil || all["c2"] != nil || len(all) != 2 {
		t.Errorf("task stats: %s, %v", body, err)
	}
}

func TestReadCgroupV1(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"memory/n/memory.usage_in_bytes":                    "4096\n",
		"memory/n/memory.limit_in_bytes":                    "9223372036854771712\n",
		"memory/n/memory.stat":                              "cache 1\nrss 2\n",
		"memory/n/memory.failcnt":                           "5\n",
		"cpuacct/n/cpuacct.usage":                           "123456\n",
		"cpuacct/n/cpuacct.usage_percpu":                    "100000 23456 \n",
		"cpuacct/n/cpuacct.stat":                            "user 3\nsystem 4\n",
		"cpu/n/cpu.stat":                                    "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n",
		"pids/n/pids.current":                               "6\n",
		"blkio/n/blkio.throttle.io_service_bytes_recursive": "8:0 Read 7\n8:0 Write 8\nTotal 15\n",
	})
	got, err := readCgroup(root, "n")
	if err != nil {
		t.Fatal(err)
	}
	want := CPUUsage{Total: 123456, PerCPU: []uint64{100000, 23456}, User: 3 * nanosPerTick, Kernel: 4 * nanosPerTick}
	if diff := cmp.Diff(want, got.CPU.Usage); diff != "" {
		t.Error(diff)
	}
	if got.Memory.Limit != systemMemory() || got.Memory.FailCnt != 5 || got.Pids.Current != 6 || got.CPU.Throttling.ThrottledTime != 3 {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]BlkioEntry{{Major: 8, Op: "read", Value: 7}, {Major: 8, Op: "write", Value: 8}}, got.Blkio.ServiceBytes); diff != "" {
		t.Error(diff)
	}
	if _, err := readCgroup(root, "../../etc"); err == nil {
		t.Error("left the cgroup tree")
	}
}

func TestOwnCgroupHasCounters(t *testing.T) {
	if _, err := os.Stat("/sys/fs/cgroup"); err != nil {
		t.Skip("no cgroups here")
	}
	st, err := readCgroup("/sys/fs/cgroup", "/")
	if err != nil {
		t.Skipf("the root cgroup has no counters here: %v", err)
	}
	if st.CPU.System == 0 || st.Memory.Limit == 0 {
		t.Errorf("%+v", st)
	}
}

func TestParseNetDev(t *testing.T) {
	data, err := os.ReadFile("testdata/netdev.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseNetDev(data)
	want := map[string]NetworkStats{"eth1": {RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 9, TxPackets: 10, TxErrors: 11, TxDropped: 12}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func FuzzParseNetDev(f *testing.F) {
	f.Add([]byte("eth1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = ParseNetDev(data) })
}

func TestConnectionsPerTaskAreBounded(t *testing.T) {
	s := NewServer(Options{})
	task, base := serveTask(t, s, testConfig(), nil)
	address := strings.TrimPrefix(base, "http://")
	var conns []net.Conn
	for range maxConns {
		c, err := net.Dial("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// An answered request proves that this connection was accepted.
		_, _ = fmt.Fprintf(c, "GET /v4/c1 HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := c.Read(make([]byte, 1024)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	extra, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	if _, err := extra.Read(make([]byte, 1)); err == nil {
		t.Error("one connection too many was served")
	}
	task.Close()
	if _, err := conns[0].Read(make([]byte, 1)); err == nil {
		t.Error("a closed task's connection goes on")
	}
}
