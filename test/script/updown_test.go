package script

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/test/harness"
)

// rounds of `up` and `down`; the first warm caches up and are not compared.
const (
	rounds = 20
	warm   = 5
)

// growth is how much more memory a process may have at the end than after the warm rounds. A leak of one task or
// namespace per round would be less than noise, but is seen in the lists; a leak of what tasks hold is more.
const growth = 12 << 20

// TestUpDown deploys and deletes a whole stack again and again. Between two rounds the host has to look as before the
// first: namespaces, processes, mounts, rules, files; and memory is flat.
func TestUpDown(t *testing.T) {
	harness.Skip(t, daemon)
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	neargate := func(args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, daemon.Binary, args...)
		cmd.Env = daemon.Environment()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("neargate %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	template := filepath.Join(root, "examples/web-api/template.yaml")
	image := "Image=" + teller.Vars["APP"]
	var before []string
	var memory map[string]int64
	began := time.Now()
	for round := range rounds {
		neargate("up", template, "--stack", "again", "--parameter", image)
		neargate("down", "--stack", "again")
		now := settled(t, before)
		switch {
		case round == 0: // what a daemon makes when it is first needed stays
			before = now
		case !cmp.Equal(before, now):
			t.Fatalf("round %d left (+) or lost (-):\n%s", round, cmp.Diff(before, now))
		}
		m := residentMemory(t)
		if round == warm {
			memory = m
		}
		t.Logf("round %d after %v: %s", round, time.Since(began).Round(time.Second), mebibytes(m))
	}
	for name, m := range residentMemory(t) {
		if m > memory[name]+growth {
			t.Errorf("%s has grown from %d MiB to %d MiB in %d rounds", name, memory[name]>>20, m>>20, rounds-warm)
		}
	}
}

// settled returns what there is on the host, once it is as before or has had a while for that.
func settled(t *testing.T, before []string) []string {
	t.Helper()
	const patience = 15 * time.Second
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		now := inventory(t)
		if before != nil && cmp.Equal(before, now) || time.Since(began) > patience || before == nil && time.Since(began) > 2*time.Second {
			return now
		}
	}
}

// changing are files whose number changes by itself: the store's, containerd's and the logs' own.
var changing = regexp.MustCompile(`/(etcd|containerd/root|logs|registry)(/|$)`)

// inventory lists what a stack could leave.
func inventory(t *testing.T) []string {
	t.Helper()
	items := harness.HostLeaks()
	for _, m := range daemon.Mounts() {
		items = append(items, "mount "+m)
	}
	for _, p := range daemon.Processes() {
		_, command, _ := strings.Cut(p, " ") // containerd may be another process, but there is one
		items = append(items, "process "+command)
	}
	_ = filepath.WalkDir(daemon.Data, func(path string, e os.DirEntry, err error) error {
		if err == nil && changing.MatchString(path) && e.IsDir() {
			return filepath.SkipDir
		}
		if err == nil {
			items = append(items, "file "+path)
		}
		return nil
	})
	slices.Sort(items)
	return items
}

var processNames = regexp.MustCompile(`^\S*neargate\S* (serve|keeper)\b|^\S*(containerd) `)

// residentMemory returns the memory of the daemon, the keeper and containerd.
func residentMemory(t *testing.T) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	for _, p := range daemon.Processes() {
		pid, command, _ := strings.Cut(p, " ")
		m := processNames.FindStringSubmatch(command)
		if m == nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				found[m[1]+m[2]] += kib << 10
			}
		}
	}
	return found
}

func mebibytes(m map[string]int64) string {
	var parts []string
	for name, bytes := range m {
		parts = append(parts, fmt.Sprintf("%s %d MiB", name, bytes>>20))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
