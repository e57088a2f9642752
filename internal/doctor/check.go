package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/cgroup"
)

// Check is one thing that Neargate needs of a host.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"` // the command that mends it, or what to do
}

// State is how a check came out.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // it works, perhaps not well
	Missing State = "missing" // it does not work without
)

const (
	aptInstall    = "sudo apt-get install -y "
	leastFreeGiB  = 1
	enoughFreeGiB = 5
	probeTimeout  = 10 * time.Second
)

// Check looks at everything. Listen is the address that the daemon will listen on; answers reports whether a Neargate is
// what listens there now.
func (h *Host) Check(ctx context.Context, listen string, answers bool) []Check {
	checks := []Check{checkKernel(), checkRoot()}
	if os.Geteuid() == 0 {
		checks = append(checks, checkNetwork(ctx)...)
		checks = append(checks, h.checkOverlay())
	} else {
		checks = append(checks, Check{Name: "namespaces, nftables, overlayfs", State: Warning, Found: "only root can try them", Mend: "sudo neargate doctor"})
	}
	for _, b := range binaries {
		checks = append(checks, b.check(ctx))
	}
	return append(checks, checkCgroups(), checkPort(ctx, listen, answers), h.checkDisk(), h.checkPath(), checkClock())
}

func checkKernel() Check {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Check{Name: "Linux", State: Missing, Found: err.Error(), Mend: "Neargate runs on Linux only"}
	}
	release := unix.ByteSliceToString(u.Release[:])
	c := Check{Name: "Linux", State: OK, Found: release}
	if !atLeast(release, 5, 10) {
		c.State, c.Mend = Missing, "Linux 5.10 or newer is needed (Debian 11 and newer have it): sudo apt-get install -y linux-image-"+debArch()
	}
	return c
}

func debArch() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	if unix.ByteSliceToString(u.Machine[:]) == "aarch64" {
		return "arm64"
	}
	return "amd64"
}

func checkRoot() Check {
	if os.Geteuid() == 0 {
		return Check{Name: "root", State: OK, Found: "yes"}
	}
	return Check{Name: "root", State: Missing, Found: "user " + strconv.Itoa(os.Geteuid()), Mend: "sudo neargate serve"}
}

// binary is a program that Neargate runs.
type binary struct {
	name, arg    string
	major, minor int
	pkg          string // Debian package
}

var binaries = []binary{
	{name: "containerd", arg: "--version", major: 1, minor: 6, pkg: "containerd"},
	{name: "containerd-shim-runc-v2", arg: "-v", pkg: "containerd"},
	{name: "runc", arg: "--version", major: 1, minor: 1, pkg: "runc"},
	{name: "haproxy", arg: "-v", major: 2, minor: 6, pkg: "haproxy"},
	{name: "nft", arg: "--version", major: 1, minor: 0, pkg: "nftables"},
}

func (b binary) check(ctx context.Context) Check {
	c := Check{Name: b.name, State: OK}
	path, err := exec.LookPath(b.name)
	if err != nil {
		c.State, c.Found, c.Mend = Missing, "not found in PATH", aptInstall+b.pkg
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, b.arg).CombinedOutput()
	if err != nil {
		c.State, c.Found, c.Mend = Missing, fmt.Sprintf("%s %s: %v", path, b.arg, err), aptInstall+"--reinstall "+b.pkg
		return c
	}
	version := versionIn(string(out))
	c.Found = strings.TrimSpace(version + " " + path)
	if b.major > 0 && !atLeast(version, b.major, b.minor) {
		c.State, c.Mend = Missing, fmt.Sprintf("version %d.%d or newer is needed: %s%s (on Debian 12 and newer)", b.major, b.minor, aptInstall, b.pkg)
	}
	return c
}

var versionPattern = regexp.MustCompile(`\bv?(\d+\.\d+(?:\.\d+)?)`)

// versionIn returns the first version number in a text.
func versionIn(text string) string {
	found := versionPattern.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return found[1]
}

// atLeast reports whether a version, which may go on after its second number, is not older than another one.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	first, err := strconv.Atoi(parts[0])
	digits := len(parts[1]) - len(strings.TrimLeft(parts[1], "0123456789"))
	second, err2 := strconv.Atoi(parts[1][:digits])
	if err != nil || err2 != nil {
		return false
	}
	return first > major || first == major && second >= minor
}

func checkCgroups() Check {
	c := Check{Name: "control groups", State: OK}
	tree, err := cgroup.Detect()
	if err != nil {
		c.State, c.Found, c.Mend = Missing, err.Error(), "sudo mount -t cgroup2 none /sys/fs/cgroup"
		return c
	}
	if c.Found = "version 1 (hybrid)"; tree.Version() == cgroup.V2 {
		c.Found = "version 2"
		controllers, _ := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		for _, want := range []string{"cpu", "memory", "pids"} {
			if !strings.Contains(" "+strings.TrimSpace(string(controllers))+" ", " "+want+" ") {
				c.State, c.Found = Missing, "version 2 without the controller "+want
				c.Mend = "boot with cgroup_enable=" + want + " (or give this container its own cgroup namespace with the controller delegated)"
			}
		}
	}
	return c
}

func checkPort(ctx context.Context, listen string, answers bool) Check {
	c := Check{Name: "address " + listen, State: OK, Found: "free"}
	if answers {
		c.Found = "Neargate answers"
		return c
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		c.State, c.Found = Missing, "taken: "+err.Error()
		c.Mend = "see who has it: ss -ltnp | grep " + listen + "; or use another: neargate serve --listen 127.0.0.1:4567"
		return c
	}
	_ = ln.Close()
	return c
}

func (h *Host) checkDisk() Check {
	c := Check{Name: "free disk space", State: OK}
	dir := existing(h.Data)
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		c.State, c.Found = Missing, err.Error()
		return c
	}
	free := s.Bavail * uint64(s.Bsize) >> 30
	c.Found = fmt.Sprintf("%d GiB in %s", free, dir)
	switch {
	case free < leastFreeGiB:
		c.State, c.Mend = Missing, "make room in "+dir+", or keep the data elsewhere: neargate serve --data DIR"
	case free < enoughFreeGiB:
		c.State, c.Mend = Warning, fmt.Sprintf("images and logs may need more than that: make room in %s, or neargate serve --data DIR", dir)
	}
	return c
}

// checkPath looks at the length of the data directory's path: Unix sockets below it have at most 107 bytes.
func (h *Host) checkPath() Check {
	const most = 60
	c := Check{Name: "data directory", State: OK, Found: h.Data}
	if len(h.Data) > most {
		c.State, c.Mend = Missing, fmt.Sprintf("its path has more than %d characters, and Unix sockets in it would be too long: neargate serve --data /var/lib/neargate", most)
	}
	return c
}

// existing returns the folder itself or the nearest one above it that exists.
func existing(dir string) string {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	return dir
}

// checkClock compares the clock with the age of our own program: certificates and signatures depend on it.
func checkClock() Check {
	now := time.Now()
	c := Check{Name: "clock", State: OK, Found: now.UTC().Format(time.RFC3339)}
	own, err := os.Executable()
	if err != nil {
		return c
	}
	if info, err := os.Stat(own); err == nil && now.Before(info.ModTime().Add(-time.Minute)) {
		c.State, c.Mend = Warning, "the clock is behind the time at which neargate was built: sudo timedatectl set-ntp true"
	}
	return c
}
