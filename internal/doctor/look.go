package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
)

// Inventory is what an instance has on this host.
type Inventory struct {
	Processes  []Process `json:"processes"`
	Namespaces []string  `json:"namespaces"`
	Groups     []string  `json:"cgroups"`    // below cgroupRoot
	Mounts     []string  `json:"mounts"`     // below the data directory
	Interfaces []string  `json:"interfaces"` // of ours in the host's own namespace, where none belongs
	Tables     []string  `json:"tables"`     // nftables of ours in the host's own namespace
	Folders    []string  `json:"folders"`    // of tasks and load balancers, relative to the data directory
}

// Look lists it. Namespaces and control groups have fixed names: they belong to the instance that ran last, so that an
// instance with another data directory is asked for in vain.
func (h *Host) Look() (*Inventory, error) {
	inv := &Inventory{}
	contained := map[int]string{}
	if h.isLatest() {
		names, err := netns.List(model.NetnsPrefix)
		if err != nil {
			return nil, fmt.Errorf("list network namespaces: %w", err)
		}
		for _, n := range names {
			if _, _, ours := model.ParseNetns(n); ours {
				inv.Namespaces = append(inv.Namespaces, n)
			}
		}
		if tree, err := cgroup.Detect(); err == nil {
			if inv.Groups, err = tree.List(cgroupRoot); err != nil {
				return nil, fmt.Errorf("list control groups: %w", err)
			}
			for _, g := range inv.Groups {
				pids, err := tree.Procs(cgroupRoot + "/" + g)
				if err != nil {
					return nil, fmt.Errorf("list processes of control group %s: %w", g, err)
				}
				for _, pid := range pids {
					contained[pid] = g
				}
			}
			slices.Sort(inv.Groups)
		}
	}
	inv.Processes = processes("/proc", h.Data, contained)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	inv.Mounts = mountsBelow(string(mounts), h.Data)
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		if model.IsVethName(l.Name) || l.Name == "igw0" {
			inv.Interfaces = append(inv.Interfaces, l.Name)
		}
	}
	inv.Tables = listTables()
	for _, kind := range []string{"tasks", "lb"} {
		entries, err := os.ReadDir(filepath.Join(h.Data, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list files: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() {
				inv.Folders = append(inv.Folders, kind+"/"+e.Name())
			}
		}
	}
	return inv, nil
}

// Daemon returns who holds the host's lock: the process and the data directory of a running daemon, or of the last one.
// Running reports whether it holds it now.
func (h *Host) Daemon() (pid int, data string, running bool) {
	text, err := os.ReadFile(h.Lock)
	if err != nil {
		return 0, "", false
	}
	pid, data = parseLock(string(text))
	if f, err := os.Open(h.Lock); err == nil {
		defer f.Close()
		running = !tryLock(f)
	}
	return pid, data, running
}

// parseLock reads `pid 12 data /var/lib/neargate`.
func parseLock(text string) (pid int, data string) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "pid ")
	if !ok {
		return 0, ""
	}
	number, data, ok := strings.Cut(rest, " data ")
	if !ok {
		return 0, ""
	}
	pid, _ = strconv.Atoi(number)
	return pid, data
}

// isLatest reports whether objects with fixed names belong to this instance: no other one ran after it.
func (h *Host) isLatest() bool {
	_, data, _ := h.Daemon()
	return data == "" || filepath.Clean(data) == h.Data
}

// mountsBelow returns the mount points below a folder, deepest first.
func mountsBelow(mountinfo, dir string) (points []string) {
	const pointField = 4
	for s := bufio.NewScanner(strings.NewReader(mountinfo)); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) <= pointField {
			continue
		}
		if point := unescape(fields[pointField]); strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	slices.SortStableFunc(points, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return points
}

// unescape undoes the kernel's \040 for a space and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
