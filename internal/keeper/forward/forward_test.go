package forward

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dialTo(network, address string) DialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// door runs a door that leads to the address, and returns its own.
func door(t *testing.T, target string) (*Door, string) {
	t.Helper()
	d := NewDoor()
	l := listen(t, "tcp4", "127.0.0.1:0")
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Serve(l, dialTo("tcp4", target)) })
	t.Cleanup(func() { l.Close(); d.Cut(); wg.Wait(); _ = d.Wait(context.Background()) })
	return d, l.Addr().String()
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func TestDoorKeepsHalfClosedConnectionsOpen(t *testing.T) {
	server := listen(t, "tcp4", "127.0.0.1:0")
	go func() {
		c, err := server.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		data, _ := io.ReadAll(c) // answers only after the client has closed its side
		_, _ = c.Write(bytes.ToUpper(data))
	}()
	d, address := door(t, server.Addr().String())
	c := dial(t, "tcp4", address)
	if _, err := io.WriteString(c, "ask"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "ASK" {
		t.Errorf("got %q, %v", got, err)
	}
	c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Wait(ctx); err != nil {
		t.Errorf("%d connections left", d.Connections())
	}
}

func TestDoorPassesLargeTransfersWhole(t *testing.T) {
	server := listen(t, "tcp4", "127.0.0.1:0")
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	_, address := door(t, server.Addr().String())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := net.Dial("tcp4", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			sent := make([]byte, 3<<20)
			_, _ = rand.Read(sent)
			go func() {
				_, _ = c.Write(sent)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes came back of %d, %v", len(got), len(sent), err)
			}
		})
	}
	wg.Wait()
}

func TestDoorResetsWhenNobodyListensBehind(t *testing.T) {
	free := listen(t, "tcp4", "127.0.0.1:0")
	free.Close()
	_, address := door(t, free.Addr().String())
	expectReset(t, address)
}

// expectReset connects and expects a reset, which may be quicker than the return of the dial.
func expectReset(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestDoorPassesResetsOn(t *testing.T) {
	server := listen(t, "tcp4", "127.0.0.1:0")
	go func() {
		if c, err := server.Accept(); err == nil {
			_, _ = c.Read(make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	_, address := door(t, server.Addr().String())
	c := dial(t, "tcp4", address)
	_, _ = c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestDoorCutEndsConnections(t *testing.T) {
	server := listen(t, "tcp4", "127.0.0.1:0")
	go func() {
		if c, err := server.Accept(); err == nil {
			_, _ = c.Write([]byte("x"))
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	d, address := door(t, server.Addr().String())
	c := dial(t, "tcp4", address)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	d.Cut()
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want an end", err)
	}
}

func TestDoorDatagrams(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteToUDPAddrPort(bytes.ToUpper(buf[:n]), from)
		}
	}()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	d := NewDoor()
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.ServePacket(pc, dialTo("udp4", server.LocalAddr().String())) })
	defer func() { pc.Close(); d.Cut(); wg.Wait() }()
	for _, text := range []string{"a", "b"} { // two clients, each with its own flow
		c := dial(t, "udp4", pc.LocalAddr().String())
		for range 3 {
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 16)
			n, err := c.Read(buf)
			if err != nil || string(buf[:n]) != string(bytes.ToUpper([]byte(text))) {
				t.Fatalf("got %q, %v", buf[:n], err)
			}
		}
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d flows", n)
	}
}

// endpoint runs an endpoint that leads to the socket, and returns its own address.
func endpoint(t *testing.T, socket string) (*Endpoint, string) {
	t.Helper()
	e := NewEndpoint()
	l := listen(t, "tcp4", "127.0.0.1:0")
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.Serve(l, socket) })
	t.Cleanup(func() { l.Close(); e.Cut(); wg.Wait(); _ = e.Wait(context.Background()) })
	return e, l.Addr().String()
}

// daemon accepts on the socket and writes down who connected, then echoes.
func daemon(l net.Listener) {
	pl := &proxyproto.Listener{Listener: l, ReadHeaderTimeout: 10 * time.Second}
	for {
		c, err := pl.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.WriteString(c, c.RemoteAddr().String()+" "+c.LocalAddr().String()+"\n")
			_, _ = io.Copy(c, c)
		}()
	}
}

func TestEndpointTellsWhoConnectedWhere(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "edge.sock")
	go daemon(listen(t, "unix", socket))
	_, address := endpoint(t, socket)
	c := dial(t, "tcp4", address)
	_, _ = io.WriteString(c, "hello")
	_ = c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	want := c.LocalAddr().String() + " " + address + "\nhello"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestEndpointHoldsConnectionsUntilTheDaemonIsBack(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "edge.sock")
	e, address := endpoint(t, socket)
	var clients []net.Conn
	for range 20 {
		c := dial(t, "tcp4", address)
		_, _ = io.WriteString(c, "hello")
		_ = c.(*net.TCPConn).CloseWrite()
		clients = append(clients, c)
	}
	deadline := time.Now().Add(10 * time.Second)
	for e.Waiting() < len(clients) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if n := e.Waiting(); n != len(clients) {
		t.Fatalf("%d of %d wait", n, len(clients))
	}
	// A socket file that a killed daemon left behind refuses connections; that counts as away, too.
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	go daemon(listen(t, "unix", socket))
	for _, c := range clients {
		got, err := io.ReadAll(c)
		if err != nil || !bytes.HasSuffix(got, []byte("\nhello")) || !bytes.HasPrefix(got, []byte(c.LocalAddr().String())) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if e.Waiting() != 0 {
		t.Errorf("%d still wait", e.Waiting())
	}
}

func TestEndpointBoundsWhatItHolds(t *testing.T) {
	e, address := endpoint(t, filepath.Join(t.TempDir(), "never.sock"))
	e.waiting.Store(maxWaiting) // as if that many waited
	expectReset(t, address)
}

func TestFlowsAreForgottenWhenTheyCannotBeMade(t *testing.T) {
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	d := NewDoor()
	table := &flowTable{door: d, back: pc, byClient: map[netip.AddrPort]*flow{}, dial: func(context.Context) (net.Conn, error) {
		return nil, errors.New("no namespace")
	}}
	f := &flow{}
	client := netip.MustParseAddrPort("127.0.0.1:9")
	table.byClient[client] = f
	table.run(client, f)
	if len(table.byClient) != 0 || d.Connections() != 0 {
		t.Errorf("kept %d flows, %d connections", len(table.byClient), d.Connections())
	}
}
