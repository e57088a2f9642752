package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestOpenKeepsTheCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.BundlePEM(), second.BundlePEM()) {
		t.Error("the second Open made another CA")
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("key has mode %v", info.Mode())
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("left files behind: %v", entries)
	}
}

func TestOpenAfterCrashBetweenFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	key, _ := os.ReadFile(filepath.Join(dir, keyFile))
	if err := os.Remove(filepath.Join(dir, certFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, keyFile)); !bytes.Equal(key, again) {
		t.Error("the key was replaced")
	}
}

func TestOpenRefusesBrokenFiles(t *testing.T) {
	other := t.TempDir()
	if _, err := Open(other); err != nil {
		t.Fatal(err)
	}
	foreign, _ := os.ReadFile(filepath.Join(other, certFile))
	for name, broken := range map[string][]byte{"empty": nil, "text": []byte("x"), "other key": foreign} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Open(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, certFile), broken, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	ca, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config := ca.TLSConfig(func(host string) bool { return host == "ecs.us-east-1.amazonaws.com" })
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.BundlePEM()) {
		t.Fatal("the bundle holds no certificate")
	}
	cases := map[string]struct {
		name string
		ok   bool
	}{
		"allowed":     {name: "ecs.us-east-1.amazonaws.com", ok: true},
		"upper case":  {name: "ECS.us-east-1.amazonaws.com", ok: true},
		"not allowed": {name: "example.com"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server, client := net.Pipe()
			defer client.Close()
			go func() {
				defer server.Close()
				_ = tls.Server(server, config).HandshakeContext(t.Context())
			}()
			err := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: c.name}).HandshakeContext(t.Context())
			if (err == nil) != c.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}

func TestCertificateIsCachedAndRenewed(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ca, err := open(t.TempDir(), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first, err := ca.Certificate("a.example")
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(leafLife - renewBefore)
	if again, _ := ca.Certificate("a.example"); again != first {
		t.Error("renewed too early")
	}
	now = now.Add(time.Second)
	renewed, err := ca.Certificate("a.example")
	if err != nil || renewed == first {
		t.Errorf("not renewed: %v", err)
	}
	address, err := ca.Certificate("127.0.0.1")
	if err != nil || address.Leaf.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("certificate for an address: %v", err)
	}
}

func TestCAIsRenewedWithItsKey(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	old, err := open(dir, clock)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(caLife - leafLife + time.Hour)
	renewed, err := open(dir, clock)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old.BundlePEM(), renewed.BundlePEM()) {
		t.Fatal("not renewed")
	}
	leaf, err := renewed.Certificate("a.example")
	if err != nil {
		t.Fatal(err)
	}
	// A task that still has the old bundle has to accept what the new CA signs.
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(old.BundlePEM())
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "a.example", CurrentTime: now}); err != nil {
		t.Error(err)
	}
}

func TestConcurrentCallersShareOneCertificate(t *testing.T) {
	ca, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certs := make([]*tls.Certificate, 50)
	var wg sync.WaitGroup
	for i := range certs {
		wg.Go(func() { certs[i], _ = ca.Certificate("a.example") })
	}
	wg.Wait()
	for _, c := range certs {
		if c == nil || c != certs[0] {
			t.Fatal("different certificates")
		}
	}
}

func TestContainerBundleBeginsWithTheCA(t *testing.T) {
	ca, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(ca.ContainerBundlePEM(), ca.BundlePEM()) {
		t.Error("the CA is not in the bundle")
	}
}
