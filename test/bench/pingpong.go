package main

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The two programs of the round trip: blocking system calls and nothing of Go's network poller, whose own wake-ups would
// be most of what is measured and the same on both sides of the ratio.

// pong answers each byte with a byte, to one client.
func pong(args []string) error {
	runtime.LockOSThread()
	addr, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(l, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return fmt.Errorf("bind %s: %w", addr, err)
	}
	if err := unix.Listen(l, 8); err != nil {
		return err
	}
	for {
		c, _, err := unix.Accept(l)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		var b [1]byte
		for rawRead(c, &b) && rawWrite(c, &b) {
		}
		_ = unix.Close(c)
	}
}

// ping makes round trips and prints the median time of one in nanoseconds.
func ping(args []string) error {
	runtime.LockOSThread()
	addr, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(c, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	if err := unix.SetsockoptInt(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	var b [1]byte
	took := make([]int64, n)
	for i := -n / 10; i < n; i++ { // the first tenth warms up
		began := time.Now()
		if !rawWrite(c, &b) || !rawRead(c, &b) {
			return fmt.Errorf("the connection to %s ended", addr)
		}
		if i >= 0 {
			took[i] = int64(time.Since(began))
		}
	}
	slices.Sort(took)
	fmt.Println(took[n/2])
	return nil
}

func rawRead(fd int, b *[1]byte) bool {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(b)), 1)
	return errno == 0 && n == 1
}

func rawWrite(fd int, b *[1]byte) bool {
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(b)), 1)
	return errno == 0 && n == 1
}
