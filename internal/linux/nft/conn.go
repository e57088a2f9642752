// Package nft puts a [ruleset.Table] into the kernel, in the namespace it is opened for.
//
// Everything goes as one nfnetlink batch, which the kernel applies as a whole or not at all: [Conn.Replace] exchanges
// the table, whatever was there before (connection tracking is not touched, so established flows go on), and
// [Conn.Update] applies only the difference between two tables. The messages are written by this package itself: one
// acknowledgement per batch instead of one per message, and no state shared between namespaces. It decides nothing;
// package ruleset says what a table is. Start at [Open].
package nft

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/ruleset"
)

// sendBuffer lets a table of tens of thousands of elements go out in one batch.
const sendBuffer = 64 << 20

// Conn is a netlink socket in one namespace. It is not safe for concurrent use.
type Conn struct {
	nl   *netlink.Conn
	name string // of the namespace, for messages
	seq  uint32
}

// Open opens a socket in the namespace; it keeps the namespace alive until Close.
func Open(ns *netns.Namespace) (*Conn, error) {
	nl, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: ns.FD()})
	if err != nil {
		return nil, fmt.Errorf("open nftables socket in %s: %w", ns.Name(), err)
	}
	// Without privileges in the initial user namespace the buffer stays at the system's limit.
	_ = nl.SetWriteBuffer(sendBuffer)
	_ = nl.SetReadBuffer(1 << 20)
	return &Conn{nl: nl, name: ns.Name()}, nil
}

// Close closes the socket; what is in the kernel stays.
func (c *Conn) Close() error { return c.nl.Close() }

// Replace makes the kernel's table exactly t, in one step.
func (c *Conn) Replace(t *ruleset.Table) error {
	b := newBatch()
	b.newTable() // so that deleting it cannot fail
	b.delTable()
	b.newTable()
	delta, _ := ruleset.Diff(&ruleset.Table{}, t)
	b.delta(delta)
	if err := c.commit(b); err != nil {
		return fmt.Errorf("replace nftables table in %s: %w", c.name, err)
	}
	return nil
}

// Update turns the kernel's table from one state into another. The caller knows that from is what the kernel has;
// if that is wrong, an error comes back, nothing is changed, and Replace is the way out.
func (c *Conn) Update(from, to *ruleset.Table) error {
	delta, ok := ruleset.Diff(from, to)
	if !ok {
		return c.Replace(to)
	}
	if delta.IsEmpty() {
		return nil
	}
	b := newBatch()
	b.delta(delta)
	if err := c.commit(b); err != nil {
		return fmt.Errorf("update nftables table in %s: %w", c.name, err)
	}
	return nil
}

// Delete removes the table; its absence is no error.
func (c *Conn) Delete() error {
	b := newBatch()
	b.newTable()
	b.delTable()
	if err := c.commit(b); err != nil {
		return fmt.Errorf("delete nftables table in %s: %w", c.name, err)
	}
	return nil
}

// commit sends the batch and waits for the acknowledgement of its last message.
func (c *Conn) commit(b *batch) error {
	raw, last := b.finish(&c.seq)
	if err := c.send(raw); err != nil {
		return err
	}
	var errs []error
	for {
		msgs, err := c.receive()
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, m := range msgs {
			if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
				continue
			}
			code := -int32(nativeUint32(m.Data))
			if code != 0 {
				errs = append(errs, b.explain(m.Header.Sequence, syscall.Errno(code)))
			}
			// A failing commit is reported for the batch's first message, before the acknowledgements.
			if m.Header.Sequence == last {
				return errors.Join(errs...)
			}
		}
	}
}

// send writes bytes that already are netlink messages; netlink.Conn.Send would take one message at a time.
func (c *Conn) send(raw []byte) error {
	rc, err := c.nl.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = rc.Write(func(fd uintptr) bool {
		sendErr = unix.Sendto(int(fd), raw, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return !errors.Is(sendErr, unix.EAGAIN)
	})
	if err == nil {
		err = sendErr
	}
	if err != nil {
		return fmt.Errorf("send batch of %d bytes: %w", len(raw), err)
	}
	return nil
}

// receive reads one datagram and returns its messages as they are: netlink.Conn.Receive would turn the first error
// into its own and drop the rest.
func (c *Conn) receive() ([]netlink.Message, error) {
	rc, err := c.nl.SyscallConn()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	var n int
	var readErr error
	err = rc.Read(func(fd uintptr) bool {
		n, _, readErr = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(readErr, unix.EAGAIN)
	})
	if err == nil {
		err = readErr
	}
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	var out []netlink.Message
	for b := buf[:n]; len(b) >= unix.SizeofNlMsghdr; {
		size := int(nativeUint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			break
		}
		var m netlink.Message
		if err := m.UnmarshalBinary(b[:size]); err != nil {
			// The library wants lengths aligned; errors that echo a message may not be.
			m.Header = netlink.Header{Length: uint32(size), Type: netlink.HeaderType(nativeUint16(b[4:])),
				Flags: netlink.HeaderFlags(nativeUint16(b[6:])), Sequence: nativeUint32(b[8:]), PID: nativeUint32(b[12:])}
			m.Data = b[unix.SizeofNlMsghdr:size]
		}
		out = append(out, m)
		b = b[min(align(size), len(b)):]
	}
	return out, nil
}
