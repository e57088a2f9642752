package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// probeTable is never in the host's own namespace.
const probeTable = "neargate-probe"

// probeRules use what our rule sets use of the kernel: NAT, connection tracking, sets of concatenated ranges, verdict maps,
// and marks.
const probeRules = "table inet " + probeTable + ` {
	set members { type ipv4_addr . inet_proto . inet_service; flags interval; elements = { 10.0.0.0/8 . tcp . 80-90 } }
	map groups { type mark : verdict; elements = { 0x1 : accept } }
	chain forward {
		type filter hook forward priority 0
		ct state established,related accept
		ip saddr . meta l4proto . th dport @members ct mark set 0x1
		meta mark vmap @groups
	}
	chain postrouting {
		type nat hook postrouting priority 100
		masquerade
	}
}
`

// checkNetwork tries what is needed of the network in a namespace that exists only for that, on a thread that ends with it.
func checkNetwork(ctx context.Context) []Check {
	done := make(chan []Check, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, and the namespace with the thread
		done <- probeNetwork(ctx)
	}()
	return <-done
}

func probeNetwork(ctx context.Context) []Check {
	space := Check{Name: "network namespaces", State: OK, Found: "can be made"}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		space.State, space.Found = Missing, err.Error()
		space.Mend = "run it on a machine or virtual machine, or give this container CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged)"
		return []Check{space}
	}
	return []Check{space, probeVeth(), probeNft(ctx)}
}

func probeVeth() Check {
	c := Check{Name: "veth pairs", State: OK, Found: "can be made"}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "ngprobe0"}, PeerName: "ngprobe1"}
	if err := netlink.LinkAdd(pair); err != nil {
		c.State, c.Found, c.Mend = Missing, err.Error(), "sudo modprobe veth"
		return c
	}
	_ = netlink.LinkDel(pair)
	return c
}

func probeNft(ctx context.Context) Check {
	c := Check{Name: "nftables (NAT, conntrack, range sets)", State: OK, Found: "rules can be loaded"}
	path, err := exec.LookPath("nft")
	if err != nil {
		c.State, c.Found, c.Mend = Missing, "cannot be tried without nft", aptInstall+"nftables"
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-f", "-") // born in the namespace of this thread
	cmd.Stdin = strings.NewReader(probeRules)
	if out, err := cmd.CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		c.State, c.Found, c.Mend = Missing, first, "sudo modprobe -a nf_tables nft_ct nft_nat nft_masq nf_conntrack"
	}
	return c
}

// checkOverlay mounts an overlay where the data directory is or will be, on a thread of its own.
func (h *Host) checkOverlay() Check {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- probeOverlay(existing(h.Data))
	}()
	c := Check{Name: "overlayfs", State: OK, Found: "can be mounted on " + existing(h.Data)}
	if err := <-done; err != nil {
		c.State, c.Found = Missing, err.Error()
		c.Mend = "sudo modprobe overlay; where " + existing(h.Data) + " is an overlay itself (in a container), keep the data on a volume: neargate serve --data DIR"
	}
	return c
}

func probeOverlay(dir string) (err error) {
	// A mount namespace of our own: nothing of the probe can be seen or left behind elsewhere.
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	tmp, err := os.MkdirTemp(dir, ".neargate-probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(tmp, name), 0o700); err != nil {
			return err
		}
	}
	options := "lowerdir=" + filepath.Join(tmp, "lower") + ",upperdir=" + filepath.Join(tmp, "upper") + ",workdir=" + filepath.Join(tmp, "work")
	merged := filepath.Join(tmp, "merged")
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount an overlay on %s: %w", dir, err)
	}
	return unix.Unmount(merged, 0)
}
